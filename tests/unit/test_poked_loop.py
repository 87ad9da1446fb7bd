"""A loop goes on whatever its step raises, says so, and does not spin."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from structlog.testing import capture_logs

from payments_service.errors import StorageUnavailableError
from payments_service.event_log.poked_loop import PokedLoop


@asynccontextmanager
async def running(step: Callable[[bool], Coroutine[Any, Any, None]], tick: float) -> AsyncIterator[PokedLoop]:
    loop = PokedLoop("test", step, tick)
    task = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_poke_runs_a_step_at_once_and_a_tick_runs_one_without() -> None:
    steps: asyncio.Queue[bool] = asyncio.Queue()

    async with running(steps.put, 3600) as loop:
        assert await steps.get() is True
        loop.poke()
        loop.poke()
        assert await steps.get() is True
    async with running(steps.put, 0.001):
        await steps.get()
        assert await steps.get() is False


async def test_no_class_of_exception_ends_a_loop_and_each_is_logged() -> None:
    errors = [StorageUnavailableError("away"), RuntimeError("bug"), TimeoutError(), KeyError("x")]
    done = asyncio.Event()

    async def step(_: bool) -> None:
        if errors:
            raise errors.pop(0)
        done.set()

    with capture_logs() as lines:
        async with running(step, 3600):
            await done.wait()

    assert [line["event"] for line in lines] == ["test.storage_unavailable", *["test.failed"] * 3]
    assert [line["failures"] for line in lines] == [1, 2, 3, 4]


async def test_a_loop_that_fails_backs_off_however_often_it_is_poked() -> None:
    steps = 0

    async def step(_: bool) -> None:
        nonlocal steps
        steps += 1
        raise RuntimeError("bug")

    with capture_logs():
        async with running(step, 3600) as loop:
            for _ in range(1_000):
                loop.poke()
                await asyncio.sleep(0)

    assert 1 <= steps <= 3


async def test_a_poke_during_a_failure_is_not_lost() -> None:
    seen: list[bool] = []
    done = asyncio.Event()

    async def step(poked: bool) -> None:
        seen.append(poked)
        if len(seen) == 1:
            raise RuntimeError("bug")
        done.set()

    with capture_logs():
        async with running(step, 3600):
            await done.wait()

    assert seen == [True, True]


async def test_a_loop_that_is_cancelled_finishes_its_step_first() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    ended = False

    async def step(_: bool) -> None:
        nonlocal ended
        begun.set()
        await may_end.wait()
        ended = True

    task = asyncio.create_task(PokedLoop("test", step, 3600).run())
    await begun.wait()
    task.cancel()
    may_end.set()
    with suppress(asyncio.CancelledError):
        await task

    assert ended
