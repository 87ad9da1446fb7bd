"""Pages are read once for all who want them, kept within bounds, and one reader's end is nobody else's."""

import asyncio

import pytest

from payments_service.errors import StorageUnavailableError
from payments_service.event_log.catch_up_pages import CatchUpPages
from payments_service.event_log.event_page import EventPage

PAGE = 10


def page_of(first: int, count: int) -> EventPage | None:
    if count < 1:
        return None
    return EventPage(first, bytes(100 * count), [100] * count, [(2, "org_1", "course")] * count, ["ord_1"] * count)


class Log:
    """A log of some length, read by whoever is let through."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.trimmed_through = 0
        self.reads: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_away = False

    async def read(self, position: int, limit: int) -> EventPage | None:
        """Look first, answer when the gate opens: what comes meanwhile is not in the answer."""
        self.reads.append(position)
        first = max(position, self.trimmed_through) + 1
        page = page_of(first, min(limit, self.length - first + 1))
        await self.gate.wait()
        if self.is_away:
            raise StorageUnavailableError("away")
        return page


def positions(page: EventPage | None) -> list[int]:
    return list(range(page.first, page.last + 1)) if page else []


async def test_a_position_is_followed_by_what_stands_in_its_page() -> None:
    pages = CatchUpPages(Log(25).read, PAGE, 1_000_000)

    assert positions(await pages.after(0, 0)) == list(range(1, 11))
    assert positions(await pages.after(13, 0)) == list(range(11, 21))
    assert positions(await pages.after(20, 0)) == [21, 22, 23, 24, 25]
    assert positions(await pages.after(25, 0)) == []


async def test_a_page_that_was_read_is_not_read_again() -> None:
    log = Log(100)
    pages = CatchUpPages(log.read, PAGE, 1_000_000)

    for position in (0, 3, 7, 0):
        await pages.after(position, 0)

    assert log.reads == [0]


async def test_two_pages_are_read_ahead_unless_memory_has_them() -> None:
    log = Log(100)
    pages = CatchUpPages(log.read, PAGE, 1_000_000)

    await pages.after(5, floor=100)
    await pages.after(15, floor=20)
    await pages.close()

    assert log.reads == [0, 10, 20]


async def test_the_last_page_is_read_again_when_the_log_has_grown() -> None:
    log = Log(5)
    pages = CatchUpPages(log.read, PAGE, 1_000_000)
    await pages.after(0, 0)
    log.length = 8

    assert positions(await pages.after(5, 0)) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_a_read_that_looked_before_a_position_was_there_is_not_believed() -> None:
    log = Log(5)
    pages = CatchUpPages(log.read, PAGE, 1_000_000)
    log.gate.clear()
    early = asyncio.create_task(pages.after(0, 0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    log.length = 8

    late = asyncio.create_task(pages.after(6, 0))
    await asyncio.sleep(0)
    log.gate.set()

    assert positions(await early) == [1, 2, 3, 4, 5]
    assert positions(await late) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_one_reader_that_goes_away_leaves_the_read_to_the_others() -> None:
    log = Log(100)
    log.gate.clear()
    pages = CatchUpPages(log.read, PAGE, 1_000_000)
    leaving, staying = (asyncio.create_task(pages.after(0, 0)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    log.gate.set()

    assert len(positions(await staying)) == PAGE
    assert log.reads == [0]
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_read_that_fails_fails_for_all_who_wait_and_is_tried_again_by_the_next() -> None:
    log = Log(100)
    log.gate.clear()
    log.is_away = True
    pages = CatchUpPages(log.read, PAGE, 1_000_000)
    waiting = [asyncio.create_task(pages.after(0, 0)) for _ in range(3)]
    await asyncio.sleep(0)
    log.gate.set()

    results = await asyncio.gather(*waiting, return_exceptions=True)
    log.is_away = False

    assert [type(result) for result in results] == [StorageUnavailableError] * 3
    assert log.reads == [0]
    assert len(positions(await pages.after(0, 0))) == PAGE


async def test_a_read_ahead_that_fails_is_nobodys_failure() -> None:
    log = Log(100)
    pages = CatchUpPages(log.read, PAGE, 1_000_000)
    await pages.after(0, floor=0)
    log.is_away = True
    await pages.after(5, floor=100)
    await pages.close()
    log.is_away = False

    assert len(positions(await pages.after(10, 0))) == PAGE
    assert log.reads == [0, 10, 20, 10]


async def test_pages_are_kept_within_their_bounds_the_newest_used_last() -> None:
    log = Log(100)
    pages = CatchUpPages(log.read, PAGE, 2 * PAGE * 100)
    for position in (0, 10, 0, 20):
        await pages.after(position, 0)

    await pages.after(0, 0)
    await pages.after(10, 0)

    assert log.reads == [0, 10, 20, 10]


async def test_few_pages_are_read_at_a_time() -> None:
    log = Log(1_000)
    log.gate.clear()
    pages = CatchUpPages(log.read, PAGE, 1_000_000)
    readers = [asyncio.create_task(pages.after(number * PAGE, 0)) for number in range(20)]
    for _ in range(5):
        await asyncio.sleep(0)

    assert len(log.reads) == 4
    log.gate.set()
    await asyncio.gather(*readers)


async def test_what_was_trimmed_shows_as_a_later_beginning() -> None:
    log = Log(100)
    log.trimmed_through = 4
    pages = CatchUpPages(log.read, PAGE, 1_000_000)

    assert positions(await pages.after(2, 0))[0] == 5


async def test_a_log_that_is_another_is_read_anew_also_what_was_being_read() -> None:
    log = Log(100)
    log.gate.clear()
    pages = CatchUpPages(log.read, PAGE, 1_000_000)
    early = asyncio.create_task(pages.after(0, 0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    pages.forget()
    log.gate.set()
    await early
    await pages.after(0, 0)

    assert log.reads == [0, 0]
