"""Judges the settings as a whole: which are wrong or unknown, and which commands would refuse to start, and why."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from payments_service.bootstrap import require_possible
from payments_service.diagnosis.finding import Finding, Reporter
from payments_service.errors import ConfigurationError
from payments_service.process_parts import Role
from payments_service.settings import Settings

PREFIX = "PAYMENTS_"
SEPARATE = {"serve": Role.GRPC, "bridge": Role.BRIDGE, "worker": Role.WORKER}
_INJECTED = re.compile(
    r"PAYMENTS_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)|PAYMENTS_TEST_\w+"
)
"""What Kubernetes writes for a service of this name, and what this project's tests are told by."""
_report = Reporter("settings")


def judge_settings(settings: Settings, wrong: Mapping[str, str], variables: Iterable[str]) -> Iterator[Finding]:
    """Judge what is set; `variables` are the names that the environment has."""
    for complaint in wrong.values():
        yield _report.problem(f"{complaint}.", "No command starts until it is corrected.")
    yield from _unknown(variables)
    if not wrong:
        yield from judge_commands(settings)


def judge_commands(settings: Settings) -> Iterator[Finding]:
    """Say which commands could start: `up` on SQLite, the others where a database and a broker are shared."""
    everything = set(Role) - ({Role.SANDBOX} if settings.stripe_key else set())
    alone = _refusal(settings, frozenset(everything))
    apart = {name: _refusal(settings, frozenset({role})) for name, role in SEPARATE.items()}
    refused = {name: refusal for name, refusal in apart.items() if refusal}
    shared = not settings.embedded and not settings.broker_url.startswith("memory:")
    if shared and refused:
        yield from _refusals(refused)
    elif shared:
        yield _report.ok("`serve`, `bridge` and `worker` can start.")
    elif alone:
        yield _report.problem(f"`payments up` refuses to start. {alone}", "Correct what is named.")
    elif settings.embedded:
        yield _report.ok("`payments up` can start; `serve`, `bridge` and `worker` need PostgreSQL and a broker.")
    else:
        yield _report.warning(
            "Only `payments up` can start: PAYMENTS_BROKER_URL is memory://, which reaches one process alone.",
            "Where `serve`, `bridge` and `worker` are meant, set it to amqp://... or redis://...",
        )


def _refusals(refused: Mapping[str, str]) -> Iterator[Finding]:
    """Say each reason once, with the commands that give it."""
    for reason in dict.fromkeys(refused.values()):
        names = " and ".join(f"`{name}`" for name, of in refused.items() if of == reason)
        verb = "refuses" if names.count("`") == 2 else "refuse"
        yield _report.problem(f"{names} {verb} to start. {reason}", "Correct what is named.")


def _refusal(settings: Settings, roles: frozenset[Role]) -> str:
    try:
        require_possible(settings, roles)
    except ConfigurationError as error:
        return error.message
    return ""


def _unknown(variables: Iterable[str]) -> Iterator[Finding]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in sorted(variables):
        if name.startswith(PREFIX) and name not in known and not _INJECTED.fullmatch(name):
            meant = get_close_matches(name, known, n=1)
            remedy = f"Did you mean {meant[0]}?" if meant else "`payments settings` lists all there are."
            yield _report.warning(f"{name} is no setting and has no effect.", remedy)
