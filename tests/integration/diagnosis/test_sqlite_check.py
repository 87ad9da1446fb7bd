"""Each fault of a SQLite file and of the place where it lies is found; a look makes nothing."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from payments_service.diagnosis.finding import Level
from payments_service.diagnosis.sqlite_check import check_sqlite, judge_sqlite
from payments_service.settings import Settings, read_settings
from payments_service.storage.database import open_database
from payments_service.storage.file_owner import owning_file
from payments_service.storage.schema import migrate
from payments_service.storage.sqlite_facts import SqliteFacts, read_sqlite_facts

from .findings import messages, only


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    settings = read_settings(database_url=f"sqlite:///{tmp_path}/payments.db")
    async with open_database(settings.database_url) as database:
        await migrate(database)
    return settings


def judged(facts: SqliteFacts, *, live: bool = False) -> list[tuple[Level, str]]:
    return [(f.level, f.message) for f in judge_sqlite(facts, live=live) if f.level is not Level.OK]


async def test_a_file_that_is_not_there_yet_is_well_and_is_not_made(tmp_path: Path) -> None:
    findings = await check_sqlite(read_settings(database_url=f"sqlite:///{tmp_path}/new/payments.db"))

    assert messages(findings) == []
    assert "`payments up` makes it" in findings[0].message
    assert not (tmp_path / "new").exists()


async def test_a_sound_file_is_well_and_its_owner_is_seen(settings: Settings) -> None:
    alone = await check_sqlite(settings)
    with owning_file(settings.database_url):
        owned = await check_sqlite(settings)

    assert messages(alone) == messages(owned) == []
    assert only(alone, "in nobody's use").level is only(owned, "open in `payments up`").level is Level.OK


async def test_what_is_no_database_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "payments.db").write_text("no database, but as long as the header of one would have to be\n" * 20)

    [found] = await check_sqlite(read_settings(database_url=f"sqlite:///{tmp_path}/payments.db"))

    assert found.level is Level.PROBLEM
    assert "file is not a database" in found.message


async def test_a_newer_schema_and_another_journal_are_found(settings: Settings, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "payments.db") as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    file.execute("PRAGMA journal_mode = DELETE")
    file.close()

    findings = await check_sqlite(settings)

    assert only(findings, "which a newer version made").level is Level.PROBLEM
    assert only(findings, "journal mode is delete").level is Level.WARNING


async def test_a_full_disk_a_closed_folder_and_an_old_library_are_found(settings: Settings) -> None:
    facts = read_sqlite_facts(settings.database_url)
    sound = replace(facts, library=(3, 51, 3), free_bytes=10**12)

    assert judged(sound, live=True) == []
    assert judged(replace(sound, free_bytes=10**6))[0][0] is Level.PROBLEM
    assert judged(replace(sound, free_bytes=10**9))[0][0] is Level.WARNING
    assert "may not be written" in judged(replace(sound, writable=False))[0][1]
    assert judged(replace(sound, library=(3, 37, 2)))[0][0] is Level.PROBLEM


async def test_the_bug_of_old_libraries_is_worth_a_warning_with_real_money_only(settings: Settings) -> None:
    facts = replace(read_sqlite_facts(settings.database_url), library=(3, 40, 1), free_bytes=10**12)

    assert judged(facts) == []
    assert "fixed in 3.51.3" in judged(facts, live=True)[0][1]
