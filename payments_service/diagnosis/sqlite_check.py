"""Judges a SQLite file: whether it can be written and kept, and what the library does to it."""

import asyncio
from collections.abc import Iterator

from payments_service.diagnosis.finding import Finding, Reporter
from payments_service.diagnosis.postgres_check import judge_revision
from payments_service.errors import StorageUnavailableError
from payments_service.settings import Settings
from payments_service.storage.sqlite_facts import SqliteFacts, read_sqlite_facts

OLDEST = (3, 38, 0)
"""The first that always has the JSON functions, by which a page of the log is read."""
SOUND = (3, 51, 3)
"""Before it, two writers could damage a file by resetting its write-ahead log at the same time."""
LITTLE_BYTES, NO_BYTES = 1024**3, 50 * 1024**2
_report = Reporter("database")


async def check_sqlite(settings: Settings) -> list[Finding]:
    """Look at the file, and judge it."""
    try:
        facts = await asyncio.to_thread(read_sqlite_facts, settings.database_url)
    except StorageUnavailableError as error:
        remedy = "Restore it from its backup, or name another file in PAYMENTS_DATABASE_URL."
        message = f"{settings.database_url.partition('///')[2]} cannot be read as a database: {error.__cause__}."
        return [_report.problem(message, remedy)]
    return list(judge_sqlite(facts, live="_live_" in settings.stripe_key))


def judge_sqlite(facts: SqliteFacts, *, live: bool) -> Iterator[Finding]:
    """Judge all of it."""
    yield from _file(facts)
    yield from _library(facts, live=live)
    yield from _disk(facts)


def _file(facts: SqliteFacts) -> Iterator[Finding]:
    if not facts.writable:
        remedy = "Give this user the file and its folder, or name another file in PAYMENTS_DATABASE_URL."
        yield _report.problem(f"{facts.path} or its folder may not be written by this user.", remedy)
    elif not facts.exists:
        yield _report.ok(f"{facts.path} is not there yet: `payments up` makes it.")
    else:
        yield _report.ok(f"{facts.path}: " + ("open in `payments up`." if facts.owned else "in nobody's use."))
    if not facts.exists:
        return
    # `payments up` migrates by itself.
    for finding in judge_revision(facts.revision):
        if facts.revision:
            yield finding
    if facts.journal_mode != "wal":
        yield _report.warning(
            f"Its journal mode is {facts.journal_mode} and not WAL: another program has changed it.",
            "`payments up` sets it again when it starts; let no other program change it.",
        )


def _library(facts: SqliteFacts, *, live: bool) -> Iterator[Finding]:
    version = ".".join(map(str, facts.library))
    if facts.library < OLDEST:
        yield _report.problem(f"SQLite {version} is too old.", "Use a Python with SQLite 3.38 or later, or PostgreSQL.")
    elif facts.library >= SOUND:
        yield _report.ok(f"SQLite {version}.")
    elif live:
        yield _report.warning(
            f"SQLite {version} can damage a file that two programs write (fixed in 3.51.3).",
            "With real money use PostgreSQL, or a Python with SQLite 3.51.3 or later; until then let no other "
            "program, such as a shell or a backup tool, open the file while `payments up` runs.",
        )
    else:
        yield _report.ok(f"SQLite {version}: let no other program open the file while `payments up` runs.")


def _disk(facts: SqliteFacts) -> Iterator[Finding]:
    megabytes = facts.free_bytes // 1024**2
    message, remedy = f"{megabytes} MB are free where {facts.path} is.", "Make room: without it no webhook is stored."
    if facts.free_bytes < NO_BYTES:
        yield _report.problem(message, remedy)
    elif facts.free_bytes < LITTLE_BYTES:
        yield _report.warning(message, remedy)
