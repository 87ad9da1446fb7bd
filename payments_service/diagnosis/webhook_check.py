"""Judges how Stripe's webhooks come: our secrets, and the endpoints that the account has at Stripe."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from payments_service.diagnosis.address_check import is_loopback
from payments_service.diagnosis.finding import Finding, Reporter
from payments_service.inbox.api_versions import is_known
from payments_service.orders.observation import FOLDED_TYPES
from payments_service.settings import Settings

WEBHOOK_PATH = "/webhooks/stripe"
MANY_SECRETS = 3
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]+")
_DASHBOARD = "Stripe's dashboard (Developers, Webhooks)"
_report = Reporter("webhooks")
Endpoint = Mapping[str, Any]


def judge_secrets(settings: Settings) -> Iterator[Finding]:
    """Judge the secrets by their form and number; none is ever shown."""
    secrets = settings.webhook_secrets
    variable = "PAYMENTS_STRIPE_WEBHOOK_SECRETS"
    for place, secret in enumerate(secrets, start=1):
        if not _SECRET.fullmatch(secret):
            remedy = f"Copy it again from {_DASHBOARD}, without quotes and blanks."
            yield _report.problem(f"Secret {place} of {variable} is not of Stripe's form (whsec_...).", remedy)
    if len(set(secrets)) < len(secrets):
        yield _report.warning(f"{variable} has one secret twice.", "Keep it once.")
    if len(set(secrets)) > MANY_SECRETS:
        message = f"{variable} has {len(set(secrets))} secrets: each is a key to the bridge."
        yield _report.warning(message, "Leave out those that Stripe no longer signs with.")
    if secrets:
        yield _report.ok(f"{len(set(secrets))} webhook secret{'s' if len(set(secrets)) > 1 else ''}.")


def judge_endpoints(endpoints: Sequence[Endpoint], settings: Settings) -> Iterator[Finding]:
    """Judge the endpoints that lead here, or that none does."""
    wanted = f"{settings.public_url}{WEBHOOK_PATH}" if settings.public_url else ""
    ours = [e for e in endpoints if e["url"] == wanted] or [e for e in endpoints if _leads_to_a_bridge(e)]
    if not ours:
        yield _none(settings, wanted)
        return
    yield from (finding for endpoint in ours for finding in _judge(endpoint))
    if len([endpoint for endpoint in ours if endpoint["url"] == wanted]) > 1:
        message = f"{len(ours)} endpoints of Stripe's lead to {wanted}: each event comes as often."
        yield _report.warning(message, f"Keep one, in {_DASHBOARD}.")


def _judge(endpoint: Endpoint) -> Iterator[Finding]:
    url, findings = endpoint["url"], 0
    if endpoint["status"] != "enabled":
        findings += 1
        remedy = f"Enable it in {_DASHBOARD}; what was missed meanwhile is found in Stripe's list of events."
        yield _report.problem(f"Stripe's endpoint {url} is {endpoint['status']}: no webhook comes.", remedy)
    missing = sorted(FOLDED_TYPES.difference(endpoint["enabled_events"]))
    if missing and "*" not in endpoint["enabled_events"]:
        findings += 1
        yield _report.warning(
            f"Stripe's endpoint {url} does not send {len(missing)} of the types that are needed: {', '.join(missing)}.",
            f"Add them in {_DASHBOARD}; until then these events come from Stripe's list, a minute late.",
        )
    version = endpoint.get("api_version") or ""
    if not is_known(version):
        findings += 1
        message = f"Stripe's endpoint {url} writes events in API version {version}, which this service has not met."
        yield _report.warning(message, "They are handled; update the service, or make an endpoint of an older version.")
    if not findings:
        yield _report.ok(f"Stripe sends all that is needed to {url}.")


def _none(settings: Settings, wanted: str) -> Finding:
    live = "_live_" in settings.stripe_key
    if settings.stripe_api_base or not (live or (wanted and not is_loopback(wanted))):
        return _report.ok(
            "No endpoint of Stripe's leads here, and none could: `stripe listen --forward-to` brings them."
        )
    where = wanted or "the bridge's https:// address with the path /webhooks/stripe"
    message = "No endpoint of Stripe's leads to this service: events come from Stripe's list alone, a minute late."
    remedy = f"Make one in {_DASHBOARD} for {where} with the types that docs/operations.md lists."
    return _report.problem(message, remedy) if live else _report.warning(message, remedy)


def _leads_to_a_bridge(endpoint: Endpoint) -> bool:
    return urlsplit(str(endpoint["url"])).path.rstrip("/") == WEBHOOK_PATH
