"""Judges a PostgreSQL: whether it can be reached, is of a version that we know, and keeps what we promise.

What our processes set for themselves is judged as it arrives, and not by the server's defaults.
"""

from collections.abc import Iterator
from datetime import timedelta

from payments_service.diagnosis.finding import Finding, Reporter
from payments_service.errors import StorageUnavailableError
from payments_service.observability.logs import mask_secrets
from payments_service.settings import Settings
from payments_service.storage.database import shown_address
from payments_service.storage.postgres_facts import ConnectionLimits, PostgresFacts, read_postgres_facts
from payments_service.storage.schema import is_known_revision, newest_revision

OLDEST, NEWEST = 14, 18
CLOCK_WARNING = timedelta(seconds=5)
LONG_TRANSACTION = timedelta(minutes=10)
CROWDED = 0.8
_report = Reporter("database")
_REMEDIES = {
    "28": "Correct the user and the password in PAYMENTS_DATABASE_URL, or what pg_hba.conf allows.",
    "3D": "Create the database (CREATE DATABASE ...), or correct its name in PAYMENTS_DATABASE_URL.",
    "42": "Grant this user its rights, or make it the owner of the schema; `payments migrate` runs as the owner.",
    "53": "End connections that nobody needs, or raise max_connections.",
    "57": "The server is starting or stopping; look at its log.",
    "08": "A pooler that refuses our settings is in between: name the server itself.",
}
"""By the classes of PostgreSQL's error codes."""


async def check_postgres(settings: Settings) -> list[Finding]:
    """Look at the server, and judge what it says."""
    try:
        facts = await read_postgres_facts(settings.database_url)
    except StorageUnavailableError as error:
        return [_unreachable(settings, error.__cause__)]
    return list(judge_postgres(facts, settings))


def judge_postgres(facts: PostgresFacts, settings: Settings) -> Iterator[Finding]:
    """Judge all of it, the server before the schema."""
    at = shown_address(settings.database_url)
    yield _report.ok(f"PostgreSQL {facts.version} at {at} answers.")
    yield from _server(facts)
    yield from _session(facts)
    yield from judge_connections(facts.connections, settings)
    yield from judge_clock(facts.clock_lead)
    yield from judge_revision(facts.revision)
    yield from _rights(facts)
    yield from _guarantees(facts)


def judge_revision(revision: str | None) -> Iterator[Finding]:
    """Judge the schema against what this version needs."""
    newest = newest_revision()
    if revision == newest:
        yield _report.ok(f"The schema is at revision {revision}.")
    elif revision is None:
        yield _report.problem("There is no schema yet.", "Run `payments migrate`.")
    elif is_known_revision(revision):
        yield _report.problem(
            f"The schema is at revision {revision}, and this version needs {newest}.",
            "Run `payments migrate`; the processes that run may go on meanwhile.",
        )
    else:
        yield _report.problem(
            f"The schema is at revision {revision}, which a newer version made: this one does not start.",
            "Run the version that made it, or a later one. Going back needs the backup from before it.",
        )


def judge_clock(lead: timedelta) -> Iterator[Finding]:
    """Judge the database's clock, by which everything is decided, against ours: they show that one of them is wrong."""
    seconds = lead.total_seconds()
    if abs(lead) > CLOCK_WARNING:
        side = "ahead of" if seconds > 0 else "behind"
        message = f"The database's clock is {abs(seconds):.0f} s {side} this machine's."
        yield _report.warning(message, "Let NTP set both clocks; what goes by the time goes by the database's.")


def judge_connections(limits: ConnectionLimits, settings: Settings) -> Iterator[Finding]:
    """Judge the limits against what one process of each kind takes, which a rolling upgrade doubles."""
    pool = settings.database_pool_size
    one_each = (pool + 1) + pool + pool * settings.worker_processes
    own_limits = [limit for limit in (limits.of_role, limits.of_database) if limit >= 0]
    most = min([limits.most - limits.reserved, *own_limits])
    parts = f"one `serve`, `bridge` and `worker` take {one_each}"
    remedy = "Raise the limit (max_connections, or the role's or the database's), or lower PAYMENTS_DATABASE_POOL_SIZE."
    if most < one_each:
        yield _report.problem(f"There may be {most} connections, and {parts}.", remedy)
    elif most < 2 * one_each:
        yield _report.warning(
            f"There may be {most} connections, and {parts}: a rolling upgrade takes twice that.", remedy
        )
    if limits.in_use > CROWDED * (limits.most - limits.reserved):
        message = f"{limits.in_use} of the server's {limits.most} connections are in use."
        yield _report.warning(message, "See who has them: SELECT * FROM pg_stat_activity.")


def _server(facts: PostgresFacts) -> Iterator[Finding]:
    if not OLDEST <= facts.major <= NEWEST:
        message = f"PostgreSQL {facts.version} is none of the versions that this service is tested with."
        remedy = f"Use one of {OLDEST} to {NEWEST}."
        yield _report.problem(message, remedy) if facts.major < OLDEST else _report.warning(message, remedy)
    if facts.standby or facts.read_only:
        kind = "a standby" if facts.standby else "read-only"
        remedy = "Name the server that takes writes; several hosts (?host=a:5432&host=b:5432) find it by themselves."
        yield _report.problem(f"The server is {kind}, so nothing can be stored.", remedy)
    if facts.encoding != "UTF8":
        remedy = "Move to a database that was created with ENCODING 'UTF8'."
        yield _report.problem(f"The database's encoding is {facts.encoding}: not every buyer's name fits.", remedy)
    for name, on in (("fsync", facts.fsync), ("full_page_writes", facts.full_page_writes)):
        if not on:
            remedy = f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();"
            yield _report.problem(f"{name} is off: a power cut can lose webhooks that Stripe was told we have.", remedy)


def _session(facts: PostgresFacts) -> Iterator[Finding]:
    pooler = "Connect to the server itself; docs/operations.md says what a pooler would have to do."
    if facts.lost_settings:
        lost = ", ".join(f"{name} is {value!r}" for name, value in facts.lost_settings.items())
        yield _report.problem(f"What our connections set does not arrive ({lost}): a pooler is in between.", pooler)
    if not facts.hears:
        message = "A notification does not arrive: streams would learn of other processes' events by their poll alone."
        yield _report.problem(message, pooler)


def _rights(facts: PostgresFacts) -> Iterator[Finding]:
    if facts.missing_rights:
        lacking = _few(facts.missing_rights)
        remedy = f"Make {facts.user} the owner of the schema's tables, or GRANT it what is missing."
        yield _report.problem(f"The user {facts.user} lacks {lacking}.", remedy)
    if not facts.may_create:
        message = f"The user {facts.user} may make no tables here, so `payments migrate` fails as this user."
        remedy = f"GRANT CREATE ON SCHEMA public TO {facts.user}; or migrate as the owner."
        yield _report.warning(message, remedy) if facts.revision else _report.problem(message, remedy)


def _guarantees(facts: PostgresFacts) -> Iterator[Finding]:
    if facts.missing_objects:
        remedy = "Restore the database from its backup: a migration makes each of these once."
        yield _report.problem(f"The schema lacks {_few(facts.missing_objects)}.", remedy)
    if facts.revision and facts.numbering != (1, 1, False):
        yield _report.problem(
            "event_outbox.id does not count up one by one: the order of an order's events can turn around.",
            "ALTER TABLE event_outbox ALTER COLUMN id SET CACHE 1 SET INCREMENT 1 SET NO CYCLE;",
        )
    if facts.longest_transaction > LONG_TRANSACTION:
        minutes = facts.longest_transaction.total_seconds() // 60
        yield _report.warning(
            f"A transaction of this database is open for {minutes:.0f} min: it keeps dead rows, which slows delivery.",
            "Find it by xact_start in pg_stat_activity, and end it or its client.",
        )


def _unreachable(settings: Settings, cause: BaseException | None) -> Finding:
    at = shown_address(settings.database_url)
    state = str(getattr(cause, "sqlstate", None) or "")
    remedy = _REMEDIES.get(state[:2], "Start PostgreSQL, or correct PAYMENTS_DATABASE_URL; is a firewall in between?")
    said = (
        "it does not answer in time"
        if isinstance(cause, TimeoutError)
        else " ".join(mask_secrets(str(cause)).split()).rstrip(".")
    )
    return _report.problem(f"{at} cannot be used: {said}.", remedy)


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
