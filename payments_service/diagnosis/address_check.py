"""Judges where the processes listen: what others can reach must be encrypted, and known to those who need it."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from payments_service.diagnosis.finding import Finding, Reporter
from payments_service.settings import LOOPBACK_HOSTS, Settings, split_address

_report = Reporter("addresses")


def judge_addresses(settings: Settings) -> Iterator[Finding]:
    """Judge gRPC's, the bridge's and the one that buyers see."""
    yield _grpc(settings)
    yield from _bridge(settings)


def is_loopback(url: str) -> bool:
    """Say whether an address is this machine's own."""
    return urlsplit(url).hostname in LOOPBACK_HOSTS


def _grpc(settings: Settings) -> Finding:
    at = f"gRPC at {settings.grpc_address}"
    if split_address(settings.grpc_address)[0] in LOOPBACK_HOSTS:
        return _report.ok(f"{at}: this machine alone can call.")
    if settings.tls_cert:
        return _report.ok(f"{at}: by TLS.")
    return _report.ok(f"{at}: in plain text, as PAYMENTS_PLAINTEXT says; a mesh or proxy must encrypt.")


def _bridge(settings: Settings) -> Iterator[Finding]:
    listens = f"Webhooks at {settings.bridge_address}"
    public = settings.public_url
    reachable = bool(public) and not is_loopback(public)
    live = "_live_" in settings.stripe_key
    if reachable and urlsplit(public).scheme == "http":
        yield _report.warning(
            f"{listens}, for buyers {public}: not by HTTPS.",
            "Stripe sends live webhooks to https:// addresses only: put a proxy with TLS before the bridge, and set "
            "PAYMENTS_PUBLIC_URL to its address.",
        )
    elif live and not reachable:
        yield _report.warning(
            f"{listens}, and PAYMENTS_PUBLIC_URL names no address that buyers could reach, with a live key.",
            "Set PAYMENTS_PUBLIC_URL to the https:// address by which browsers reach the bridge.",
        )
    else:
        yield _report.ok(f"{listens}" + (f", for buyers {public}." if public else ": this machine alone."))
