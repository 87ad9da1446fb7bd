"""Who is at a duty: one process of many, the next as soon as it stops, and within seconds when it dies or stalls."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from database_servers.postgres_server import PostgresServer

from payments_service.actors.duty import Duty
from payments_service.actors.duty_roster import DutyRoster, LeaseTerms
from payments_service.errors import StorageUnavailableError
from payments_service.storage.database import Database, open_database
from payments_service.storage.lease_rows import Fence
from payments_service.storage.schema import migrate

from .duty_child import TERMS
from .duty_history import find_faults, read_writes

PATIENCE = 15.0
TESTS = Path(__file__).parents[1]
BUSY_SECONDS = 3.0
"""What a machine that has other things to do may add."""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        await migrate(opened)
        yield opened


@pytest.fixture
async def postgres_url(postgres: PostgresServer) -> AsyncIterator[str]:
    async with postgres.new_database() as url:
        yield url


class Rounds:
    """Counts the rounds of duties."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self._done = asyncio.Event()

    async def work(self, fence: Fence) -> None:
        """Do one round."""
        self.epochs.append(fence.epoch)
        self._done.set()

    async def fail(self, fence: Fence) -> None:
        """Do one round that fails in one of two ways."""
        await self.work(fence)
        raise StorageUnavailableError("away") if len(self.epochs) % 2 else RuntimeError("wrong")

    async def reach(self, count: int) -> None:
        """Wait for so many rounds."""
        async with asyncio.timeout(PATIENCE):
            while len(self.epochs) < count:
                self._done.clear()
                await self._done.wait()


@asynccontextmanager
async def at_duty(
    database: Database, holder: str, *duties: Duty, terms: LeaseTerms = TERMS
) -> AsyncIterator[DutyRoster]:
    roster = DutyRoster(database, duties, holder, lambda: 0.5, terms)
    task = asyncio.create_task(roster.run())
    try:
        yield roster
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], object]) -> float:
    """Wait for a condition; returns how long it took."""
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.01)
    return asyncio.get_running_loop().time() - began


async def test_of_many_processes_one_is_at_each_duty(database: Database) -> None:
    rounds = [Rounds(), Rounds()]
    duties = [Duty(f"duty_{number}", 0.01, one.work) for number, one in enumerate(rounds)]

    async with (
        at_duty(database, "ann", *duties) as ann,
        at_duty(database, "bob", *duties) as bob,
        at_duty(database, "cid", *duties) as cid,
    ):
        for one in rounds:
            await one.reach(200)
        held = [name for roster in (ann, bob, cid) for name in roster.held]

    assert sorted(held) == ["duty_0", "duty_1"]
    assert [set(one.epochs) for one in rounds] == [{1}, {1}]


async def test_a_process_that_stops_lets_its_duties_go_at_once_and_ends_its_round_first(database: Database) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    rounds = Rounds()

    async def slow(_: Fence) -> None:
        begun.set()
        await asyncio.sleep(0.2)
        ended.set()

    long = LeaseTerms(lease_seconds=60, renew_seconds=20, look_seconds=0.05)
    async with at_duty(database, "ann", Duty("sweep", 0.01, slow), terms=long):
        await begun.wait()
        begun.clear()
        await begun.wait()
        ended.clear()
    finished = ended.is_set()
    async with at_duty(database, "bob", Duty("sweep", 0.01, rounds.work), terms=long):
        await rounds.reach(1)

    assert finished
    assert rounds.epochs[0] == 2


async def test_a_duty_that_fails_has_its_next_round_all_the_same(database: Database) -> None:
    rounds = Rounds()

    async with at_duty(database, "ann", Duty("sweep", 0.01, rounds.fail)):
        await rounds.reach(5)

    assert set(rounds.epochs) == {1}


async def test_a_round_is_cut_off_when_the_lease_may_be_anothers(database: Database) -> None:
    cut_off = asyncio.Event()

    async def endless(_: Fence) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()

    never_renewed = LeaseTerms(lease_seconds=0.3, renew_seconds=60, look_seconds=0.05)
    roster = DutyRoster(database, [Duty("sweep", 0.01, endless)], "ann", lambda: 0.5, never_renewed)
    await roster._enlist()
    await roster._take_free()
    held = dict(roster.held)
    async with asyncio.timeout(PATIENCE):
        await cut_off.wait()

    assert held == {"sweep": 1}
    assert roster.held == {}


async def test_duties_are_found_again_after_the_database_was_away(postgres_url: str, postgres: PostgresServer) -> None:
    rounds = Rounds()
    async with (
        open_database(postgres_url) as database,
        at_duty(database, "ann", Duty("sweep", 0.01, rounds.work)) as roster,
    ):
        await rounds.reach(1)
        for _ in range(5):
            await postgres.terminate(postgres_url, "payments")
            await rounds.reach(len(rounds.epochs) + 10)
        await until(lambda: roster.held)


class Child:
    """A process that wants the duty."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self, what: str) -> float:
        """Wait until it says so; returns how long that took."""
        began = asyncio.get_running_loop().time()
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while (line := await self.process.stdout.readline()) != f"{what}\n".encode():
                assert line, "the child ended"
        return asyncio.get_running_loop().time() - began


@asynccontextmanager
async def child(url: str, holder: str) -> AsyncIterator[Child]:
    command = (sys.executable, "-m", "integration.duty_child", url, holder)
    process = await asyncio.create_subprocess_exec(*command, cwd=TESTS, stdout=asyncio.subprocess.PIPE)
    try:
        yield Child(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_killed_holders_duty_is_taken_over_within_its_lease_and_a_look(postgres_url: str) -> None:
    async with child(postgres_url, "ann") as ann:
        await ann.says("at work")
        async with child(postgres_url, "bob") as bob:
            await bob.says("ready")
            ann.process.kill()
            took = await bob.says("at work")

    bound = TERMS.lease_seconds + 1.25 * TERMS.look_seconds
    assert took < bound + BUSY_SECONDS
    assert LeaseTerms().lease_seconds + 1.25 * LeaseTerms().look_seconds < 8


async def test_a_holder_that_was_stopped_in_the_middle_of_a_write_is_refused_when_it_wakes(postgres_url: str) -> None:
    async with child(postgres_url, "ann") as ann, open_database(postgres_url) as database:
        await ann.says("at work")
        async with child(postgres_url, "bob") as bob:
            ann.process.send_signal(signal.SIGSTOP)
            await bob.says("at work")
            ann.process.send_signal(signal.SIGCONT)
            bob.process.kill()
            await ann.says("at work")
            writes = await read_writes(database)

    assert find_faults(writes) == []
    assert [(write.epoch, write.holder) for write in dict.fromkeys(writes)] == [(1, "ann"), (2, "bob"), (3, "ann")]
