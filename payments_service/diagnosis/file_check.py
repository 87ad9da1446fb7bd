"""Reads the files that settings name, the callers' and those of TLS, and judges what is in them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from payments_service.diagnosis.finding import Finding, Reporter
from payments_service.errors import ConfigurationError
from payments_service.rpc.callers import read_callers
from payments_service.rpc.tls_files import read_tls_files, see_certificate
from payments_service.settings import Settings

EXPIRES_SOON = timedelta(days=21)
_report = Reporter("files")


async def check_files(settings: Settings) -> list[Finding]:
    """Read both."""
    return [*_callers(settings.callers_file), *_tls(settings)]


def connected_accounts(settings: Settings) -> list[str]:
    """Name the connected accounts that organizations sell by; none where the callers file cannot be read."""
    if settings.callers_file is None:
        return []
    try:
        return sorted(set(read_callers(settings.callers_file).stripe_accounts.values()))
    except ConfigurationError:
        return []


def _callers(path: Path | None) -> Iterator[Finding]:
    if path is None:
        yield _report.ok("No callers file: whoever reaches gRPC may do everything, which is this machine alone.")
        return
    try:
        parsed = read_callers(path)
    except ConfigurationError as error:
        remedy = "`serve` does not start with it; one that runs goes on with the last good file. Correct the entry."
        yield _report.problem(error.message, remedy)
        return
    yield _report.ok(f"Callers file {path}: {len(parsed.callers)} callers.")
    mute = [caller.name for caller in parsed.callers if not caller.token_digests]
    if mute:
        remedy = "Give each a token_sha256, or take it out of the file."
        yield _report.warning(f"Without a token nobody can call as {', '.join(mute)}.", remedy)


def _tls(settings: Settings) -> Iterator[Finding]:
    certificate, key = settings.tls_cert, settings.tls_key
    if certificate is None or key is None:
        return
    try:
        read_tls_files(certificate, key)
        seen = see_certificate(certificate, key)
    except ConfigurationError as error:
        yield _report.problem(error.message, "`serve` does not start with it. Correct the files or the variables.")
        return
    yield judge_certificate(certificate, seen.expire_time, seen.fault, datetime.now(UTC))


def judge_certificate(path: Path, expire_time: datetime | None, fault: str, now: datetime) -> Finding:
    """Judge how long a certificate is good for."""
    remedy = "Renew it, put it at the same path, and restart `serve`: it reads the files when it starts."
    if expire_time is None:
        return _report.problem(f"PAYMENTS_TLS_CERT: {path}: {fault}; no client connects.", remedy)
    days = (expire_time - now).days
    if expire_time - now < EXPIRES_SOON:
        return _report.warning(f"PAYMENTS_TLS_CERT: {path} expires in {days} days.", remedy)
    return _report.ok(f"TLS certificate {path}: good for {days} days.")
