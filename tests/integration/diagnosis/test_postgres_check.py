"""Each fault of a PostgreSQL that a guarantee needs gone is found, and said with what to do."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from database_servers.postgres_binaries import find_programs
from database_servers.postgres_server import PostgresServer, running_postgres

from payments_service.diagnosis.finding import Finding, Level
from payments_service.diagnosis.postgres_check import check_postgres, judge_clock, judge_connections, judge_postgres
from payments_service.settings import Settings, read_settings
from payments_service.storage.postgres_facts import ConnectionLimits, PostgresFacts, read_postgres_facts

from .findings import messages, only
from .meddling_pooler import meddling_pooler

FORGETFUL = ["fsync is off", "full_page_writes is off"]
"""What the test servers are, for speed."""


@pytest.fixture
async def url(postgres: PostgresServer) -> AsyncIterator[str]:
    async with postgres.new_database() as url:
        yield url


def settings_for(url: str) -> Settings:
    return read_settings(database_url=url)


async def look(url: str) -> list[Finding]:
    return await check_postgres(settings_for(url))


def further(findings: Sequence[Finding]) -> list[str]:
    """Give what is wrong beside the test server's forgetfulness."""
    return [said for said in messages(findings) if not said.startswith(tuple(FORGETFUL))]


async def run(postgres: PostgresServer, url: str, statement: str) -> None:
    await postgres.run(statement, database=url.rpartition("/")[2])


async def test_a_server_that_may_forget_is_a_problem_and_all_else_is_well(url: str) -> None:
    findings = await look(url)

    assert [only(findings, said).level for said in FORGETFUL] == [Level.PROBLEM, Level.PROBLEM]
    assert further(findings) == []
    assert "ALTER SYSTEM SET fsync = on" in only(findings, "fsync is off").remedy


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE event_outbox ALTER COLUMN id SET CACHE 20", "event_outbox.id does not count up one by one"),
        ("UPDATE alembic_version SET version_num = '0001'", "at revision 0001, and this version needs"),
        ("UPDATE alembic_version SET version_num = '9999'", "which a newer version made"),
        ("DROP FUNCTION sequence_events(integer)", "The schema lacks sequence_events()"),
        ("DROP TABLE timeline", "The schema lacks timeline"),
    ],
)
async def test_a_schema_that_is_not_ours_is_a_problem(
    postgres: PostgresServer, url: str, statement: str, said: str
) -> None:
    await run(postgres, url, statement)

    [found] = further(await look(url))

    assert said in found


async def test_a_server_that_does_not_wait_for_the_disk_by_default_is_overruled_by_us(
    postgres: PostgresServer, url: str
) -> None:
    await run(postgres, url, f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")

    assert further(await look(url)) == []


async def test_a_pooler_that_loses_settings_and_notifications_is_found(postgres: PostgresServer, url: str) -> None:
    async with meddling_pooler(postgres.port) as port:
        findings = await look(url.replace(f":{postgres.port}/", f":{port}/"))

    lost, deaf = further(findings)
    assert "default_transaction_isolation is 'repeatable read'" in lost
    assert "statement_timeout is '0'" in lost
    assert "A notification does not arrive" in deaf


async def test_a_database_without_a_schema_is_to_be_migrated(postgres: PostgresServer) -> None:
    async with postgres.new_database(migrated=False) as url:
        findings = await look(url)

    assert only(findings, "no schema yet").remedy == "Run `payments migrate`."


async def test_a_user_without_rights_is_named_with_what_is_missing(postgres: PostgresServer, url: str) -> None:
    await postgres.run("DROP ROLE IF EXISTS weak")
    await postgres.run("CREATE ROLE weak LOGIN CONNECTION LIMIT 5")
    try:
        await run(postgres, url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO weak")
        weak = url.replace("payments@", "weak@")
        lacking, migrating, limited = sorted(further(await look(weak)))
        await run(postgres, url, "REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM weak")
        [blind] = messages(await look(weak))
    finally:
        await run(postgres, url, "DROP OWNED BY weak")
        await postgres.run("DROP ROLE weak")

    assert "The user weak lacks DELETE on " in lacking
    assert "`payments migrate` fails as this user" in migrating
    assert "There may be 5 connections" in limited
    assert "permission denied for table alembic_version" in blind


async def test_another_encoding_is_a_problem(postgres: PostgresServer) -> None:
    await postgres.run("DROP DATABASE IF EXISTS latin")
    await postgres.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        findings = await look(postgres.url("latin"))
    finally:
        await postgres.run("DROP DATABASE latin")

    assert only(findings, "encoding is LATIN1").level is Level.PROBLEM


@pytest.mark.parametrize(
    ("database", "user", "said", "remedy"),
    [
        ("nowhere", "payments", 'database "nowhere" does not exist', "CREATE DATABASE"),
        ("postgres", "stranger", 'role "stranger" does not exist', "Correct the user and the password"),
    ],
)
async def test_what_the_server_refuses_is_said_in_its_words(
    postgres: PostgresServer, database: str, user: str, said: str, remedy: str
) -> None:
    [found] = await look(postgres.url(database).replace("payments@", f"{user}:ge/heim@"))

    assert said in found.message
    assert remedy in found.remedy
    assert "heim" not in found.message


async def test_a_server_that_is_not_there_or_says_nothing_is_a_problem() -> None:
    async with _black_hole() as port:
        silent, refused = await asyncio.gather(
            look(f"postgresql://payments@127.0.0.1:{port}/x"), look("postgresql://payments@127.0.0.1:1/x")
        )

    assert "does not answer in time" in silent[0].message
    assert "Connect call failed" in refused[0].message
    assert "Start PostgreSQL" in refused[0].remedy


async def test_a_standby_is_named_as_one(tmp_path: Path) -> None:
    programs = find_programs("18")
    assert programs is not None
    with running_postgres(programs) as server:
        server.stop("fast")
        (server.data / "standby.signal").touch()
        server.start()
        findings = await look(server.url("postgres"))

    assert "several hosts" in only(findings, "The server is a standby").remedy


async def test_versions_clocks_and_long_transactions_are_judged(url: str) -> None:
    facts = await read_postgres_facts(url)

    def judged(**changes: object) -> list[tuple[Level, str]]:
        changed: PostgresFacts = replace(facts, fsync=True, full_page_writes=True, **changes)  # type: ignore[arg-type]
        return [(f.level, f.message) for f in judge_postgres(changed, settings_for(url)) if f.level is not Level.OK]

    assert judged() == []
    assert judged(major=13, version="13.1")[0][0] is Level.PROBLEM
    assert judged(major=19, version="19.0")[0][0] is Level.WARNING
    assert "open for 20 min" in judged(longest_transaction=timedelta(minutes=20))[0][1]
    assert "behind" in judged(clock_lead=timedelta(seconds=-90))[0][1]


@pytest.mark.parametrize(("seconds", "said"), [(0.5, []), (-8, ["8 s behind"]), (90, ["90 s ahead of"])])
def test_a_clock_that_differs_is_a_warning(seconds: float, said: list[str]) -> None:
    found = list(judge_clock(timedelta(seconds=seconds)))

    assert [finding.level for finding in found] == [Level.WARNING] * len(said)
    assert all(text in finding.message for text, finding in zip(said, found, strict=True))


@pytest.mark.parametrize(
    ("limits", "level", "said"),
    [
        (ConnectionLimits(100, 3, -1, -1, 20), None, ""),
        (ConnectionLimits(60, 3, -1, -1, 1), Level.WARNING, "a rolling upgrade takes twice that"),
        (ConnectionLimits(100, 3, 20, -1, 1), Level.PROBLEM, "There may be 20 connections"),
        (ConnectionLimits(100, 3, -1, 20, 1), Level.PROBLEM, "There may be 20 connections"),
        (ConnectionLimits(100, 3, -1, -1, 90), Level.WARNING, "90 of the server's 100 connections are in use"),
    ],
)
def test_connections_are_counted_against_all_limits(limits: ConnectionLimits, level: Level | None, said: str) -> None:
    found = list(judge_connections(limits, read_settings()))

    assert [finding.level for finding in found] == ([level] if level else [])
    assert all(said in finding.message for finding in found)


@asynccontextmanager
async def _black_hole() -> AsyncIterator[int]:
    """Accept connections, and answer nothing."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in held:
            writer.close()
            await writer.wait_closed()
