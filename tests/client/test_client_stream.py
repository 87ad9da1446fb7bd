"""The stream: wherever and however it is cut, what the user gets is the log, each event once and in order."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from payments_client import (
    AsyncPaymentsClient,
    CursorExpiredError,
    Event,
    EventFilter,
    EventType,
    PaymentsClient,
    Start,
    StartRequiredError,
    UnauthenticatedError,
    UnavailableError,
)
from payments_client.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_client.reconnecting import Backoff
from payments_client.stream_progress import StreamProgress, StreamWish

from .contract_server import Context, refuse, serving
from .log_server import LogServer, cursor_of, position_of, response

PATIENCE = 30.0
LOST = UnavailableError("The connection is gone.", code="UNAVAILABLE")


def ids(events: list[Event]) -> list[str]:
    return [event.event_id for event in events]


@pytest.mark.parametrize("seed", range(200))
def test_cut_at_any_response_and_left_at_any_event_the_pieces_are_the_log(seed: int) -> None:
    """Without a network: the user also stops anywhere, and goes on later after the cursor of its last event."""
    chance = random.Random(seed)  # noqa: S311  # chooses where to cut
    server = LogServer(60, seed)
    got: list[Event] = []
    stored: bytes | None = None
    while True:
        progress = StreamProgress(StreamWish(stored or Start.EARLIEST, follow=False), Backoff(chance=lambda: 0.0))
        if drain(progress, server, chance, got):
            break
        stored = got[-1].cursor if got else None

    assert ids(got) == [event.event_id for event in server.wanted]


def drain(progress: StreamProgress, server: LogServer, chance: random.Random, got: list[Event]) -> bool:
    """Read until the end, or until the user stops by chance; tells whether it was the end."""
    while True:
        start = position_of(progress.request().start)
        for piece in server.pieces(start):
            if chance.random() < 0.2:
                progress.pause_after(LOST)
                break
            progress.take(piece)
            while event := progress.give():
                got.append(event)
                assert int.from_bytes(progress.cursor[1:], "big") >= int(event.event_id.removeprefix("evt_"))
                if chance.random() < 0.05:
                    return False
        else:
            progress.take(response([], len(server.log), caught_up=pb.CaughtUp()))
            assert progress.is_over
            return True


@pytest.mark.parametrize("seed", range(3))
async def test_over_the_wire_every_way_to_end_a_stream_loses_and_repeats_nothing(seed: int) -> None:
    server = LogServer(150, seed)
    async with serving({"StreamFulfillments": server.stream}) as address, AsyncPaymentsClient(address) as client:
        async with asyncio.timeout(PATIENCE):
            got = [event async for event in client.stream(start=Start.EARLIEST, follow=False)]

    assert ids(got) == [event.event_id for event in server.wanted]
    assert len(server.starts) == len(server.endings_seen) + 1 > 3
    assert server.starts[0].earliest
    assert all(start.cursor for start in server.starts[1:])


async def test_a_blocking_stream_loses_and_repeats_nothing_either() -> None:
    server = LogServer(100, seed=7)

    def read(address: str) -> list[Event]:
        with PaymentsClient(address) as client, client.stream(start=Start.EARLIEST, follow=False) as stream:
            return list(stream)

    async with serving({"StreamFulfillments": server.stream}) as address:
        got = await asyncio.wait_for(asyncio.to_thread(read, address), PATIENCE)

    assert ids(got) == [event.event_id for event in server.wanted]
    assert server.endings_seen


async def test_a_stream_that_falls_silent_is_cut_and_opened_again() -> None:
    server = LogServer(40, seed=2, endings=("silent",), chance=0.3)
    async with serving({"StreamFulfillments": server.stream}) as address, AsyncPaymentsClient(address) as client:
        async with asyncio.timeout(PATIENCE):
            got = [event async for event in client.stream(start=Start.EARLIEST, follow=False)]

    assert ids(got) == [event.event_id for event in server.wanted]
    assert server.endings_seen


async def test_a_blocking_stream_that_falls_silent_is_cut_too() -> None:
    server = LogServer(30, seed=2, endings=("silent",), chance=0.3)

    def read(address: str) -> list[Event]:
        with PaymentsClient(address) as client, client.stream(start=Start.EARLIEST, follow=False) as stream:
            return list(stream)

    async with serving({"StreamFulfillments": server.stream}) as address:
        got = await asyncio.wait_for(asyncio.to_thread(read, address), PATIENCE)

    assert ids(got) == [event.event_id for event in server.wanted]
    assert server.endings_seen


async def test_it_survives_a_service_that_goes_away_and_comes_back() -> None:
    server = LogServer(60, seed=3, chance=0.0)
    got: list[Event] = []
    async with serving({"StreamFulfillments": server.stream}) as address:
        client = AsyncPaymentsClient(address)
        stream = client.stream(start=Start.EARLIEST)
        got.extend([await anext(stream) for _ in range(5)])
    async with asyncio.timeout(PATIENCE), client:
        reading = asyncio.create_task(_take(stream, len(server.wanted) - 5, got))
        await asyncio.sleep(0)
        async with serving({"StreamFulfillments": server.stream}, address):
            await reading

    assert ids(got) == [event.event_id for event in server.wanted]


async def _take(stream: AsyncIterator[Event], number: int, got: list[Event]) -> None:
    for _ in range(number):
        got.append(await anext(stream))


async def test_the_cursor_passes_what_did_not_match_but_never_what_was_not_given() -> None:
    async def stream(request: pb.StreamFulfillmentsRequest, _: Context) -> AsyncIterator[pb.StreamFulfillmentsResponse]:
        log = LogServer(3, 0).log
        yield response([], position_of(request.start), opened=pb.Opened())
        yield response(log[:2], 3)
        yield response([], 9, caught_up=pb.CaughtUp())

    async with serving({"StreamFulfillments": stream}) as address, AsyncPaymentsClient(address) as client:
        events = client.stream(start=Start.EARLIEST, follow=False)
        assert events.cursor == b""
        first = await anext(events)
        assert events.cursor == first.cursor == cursor_of(1)
        second = await anext(events)
        assert (second.cursor, events.cursor) == (cursor_of(2), cursor_of(3))
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        assert events.cursor == cursor_of(9)
        assert events.is_caught_up


async def test_what_would_be_refused_again_is_raised_as_itself() -> None:
    async def stream(request: pb.StreamFulfillmentsRequest, context: Context) -> None:
        code, reason = (
            ("OUT_OF_RANGE", "CURSOR_EXPIRED") if request.start.cursor else ("UNAUTHENTICATED", "UNAUTHENTICATED")
        )
        await refuse(context, grpc.StatusCode[code], reason, metadata={"earliest_cursor": "AQI="})

    async with serving({"StreamFulfillments": stream}) as address, AsyncPaymentsClient(address) as client:
        with pytest.raises(CursorExpiredError) as expired:
            await anext(client.stream(after=b"old"))
        with pytest.raises(UnauthenticatedError):
            await anext(client.stream(start=Start.LATEST))

    assert expired.value.earliest_cursor == b"\x01\x02"


async def test_a_stream_asks_for_what_it_was_told() -> None:
    asked: list[pb.StreamFulfillmentsRequest] = []

    async def stream(request: pb.StreamFulfillmentsRequest, _: Context) -> AsyncIterator[pb.StreamFulfillmentsResponse]:
        asked.append(request)
        yield response([], 0, caught_up=pb.CaughtUp())

    wanted = EventFilter(organization_ids=["org_1"], purchase_types=["course"], types=[EventType.FULFILLED])
    async with serving({"StreamFulfillments": stream}) as address, AsyncPaymentsClient(address) as client:
        async for _ in client.stream(
            after=b"cursor", start=Start.EARLIEST, filter=wanted, max_batch_size=7, max_batch_delay=0.5, follow=False
        ):
            pass

    (request,) = asked
    assert request.start.cursor == b"cursor"
    assert [*request.filter.organization_ids, *request.filter.purchase_types] == ["org_1", "course"]
    assert list(request.filter.types) == [6]
    assert (request.max_batch_size, request.max_batch_delay.nanos, request.heartbeat_interval.seconds) == (7, 5e8, 15)


async def test_a_stream_without_a_start_is_refused_before_it_is_opened() -> None:
    async with AsyncPaymentsClient("127.0.0.1:9") as client:
        with pytest.raises(StartRequiredError, match="after=cursor"):
            client.stream(after=None)


@pytest.mark.parametrize("seconds", [0.0, 0.3])
async def test_a_cancelled_wait_for_an_event_loses_nothing(seconds: float) -> None:
    server = LogServer(30, seed=5, chance=0.0)
    got: list[Event] = []
    async with serving({"StreamFulfillments": server.stream}) as address, AsyncPaymentsClient(address) as client:
        stream = client.stream(start=Start.EARLIEST)
        async with asyncio.timeout(PATIENCE):
            while len(got) < len(server.wanted):
                got.append(await anext(stream))
                waiting = asyncio.create_task(_next_into(stream, got))
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), seconds)

    assert ids(got) == [event.event_id for event in server.wanted]


async def _next_into(stream: AsyncIterator[Event], got: list[Event]) -> None:
    got.append(await anext(stream))


async def test_a_stream_ends_when_another_task_closes_it() -> None:
    server = LogServer(0, seed=0)
    async with serving({"StreamFulfillments": server.stream}) as address, AsyncPaymentsClient(address) as client:
        stream = client.stream(start=Start.LATEST)
        reading = asyncio.create_task(_take(stream, 1, []))
        await _until(lambda: bool(server.starts))
        await stream.aclose()
        with pytest.raises((StopAsyncIteration, RuntimeError)):
            await asyncio.wait_for(reading, PATIENCE)


async def test_a_blocking_stream_ends_when_another_thread_closes_it() -> None:
    server = LogServer(0, seed=0)
    async with serving({"StreamFulfillments": server.stream}) as address:
        with PaymentsClient(address) as client:
            stream = client.stream(start=Start.LATEST)
            reading = asyncio.create_task(asyncio.to_thread(list, stream))
            await _until(lambda: bool(server.starts))
            stream.close()
            assert await asyncio.wait_for(reading, PATIENCE) == []

    await _until(lambda: not [t for t in threading.enumerate() if t.name == "payments-stream-watch"])


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)


def test_pauses_grow_and_are_spread_and_begin_anew() -> None:
    backoff = Backoff(0.2, 10.0, chance=lambda: 1.0)

    assert [round(backoff.next_pause(), 1) for _ in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    backoff.reset()
    assert backoff.next_pause() == 0.2
    assert Backoff(0.2, 10.0, chance=lambda: 0.0).next_pause() == 0.0
