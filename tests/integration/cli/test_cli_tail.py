"""`payments tail` shows each event once, whatever becomes of its connection."""

import asyncio
import base64
import json
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    CaughtUp,
    Draining,
    Heartbeat,
    Opened,
    StreamFulfillmentsRequest,
    StreamFulfillmentsResponse,
)

from .canned_service import CannedService, Context, Stream, open_canned, refuse
from .command_line import PATIENCE, CommandLine, hang_up, next_line, notice_with

TAIL = ("tail", "--json", "--from", "earliest")


def cursor_of(number: int) -> bytes:
    return f"cursor-{number}".encode()


def opened(number: int = 0, heartbeat: int = 15) -> StreamFulfillmentsResponse:
    response = StreamFulfillmentsResponse(cursor=cursor_of(number), opened=Opened())
    response.opened.heartbeat_interval.seconds = heartbeat
    return response


def batch(*numbers: int) -> StreamFulfillmentsResponse:
    events = [
        FulfillmentEvent(event_id=f"fev_{number}", type=FulfillmentEvent.TYPE_FULFILLED, cursor=cursor_of(number))
        for number in numbers
    ]
    return StreamFulfillmentsResponse(events=events, cursor=cursor_of(numbers[-1]))


def streaming(*responses: StreamFulfillmentsResponse, then: str = "") -> Stream:
    """Send responses, then hang, end, or refuse for a reason."""

    async def stream(_: StreamFulfillmentsRequest, context: Context) -> AsyncIterator[StreamFulfillmentsResponse]:
        for response in responses:
            yield response
        if then == "hang":
            await asyncio.Event().wait()
        elif then:
            code = {"DRAINING": grpc.StatusCode.UNAVAILABLE, "UNAUTHENTICATED": grpc.StatusCode.UNAUTHENTICATED}
            await refuse(context, code.get(then, grpc.StatusCode.OUT_OF_RANGE), then, f"It is {then}.")

    return stream


async def event_ids(process: Process, count: int) -> list[str]:
    return [json.loads(await next_line(process))["event_id"] for _ in range(count)]


def starts(service: CannedService) -> list[bytes]:
    return [request.start.cursor for request in service.requests["StreamFulfillments"]]


@pytest.mark.parametrize("end", ["", "DRAINING"])
async def test_a_lost_connection_is_opened_again_after_the_last_event(
    service: CannedService, payments: CommandLine, end: str
) -> None:
    service.answers(
        "StreamFulfillments",
        streaming(opened(), batch(1, 2), then=end),
        streaming(opened(2), batch(3), then="hang"),
    )

    async with payments.started(*TAIL) as process:
        assert await event_ids(process, 3) == ["fev_1", "fev_2", "fev_3"]
        await notice_with(process, "Trying again until it answers.")
        await notice_with(process, "Connected again")

    assert starts(service) == [b"", cursor_of(2)]


async def test_a_connection_lost_before_any_event_goes_on_where_it_was_opened(
    service: CannedService, payments: CommandLine
) -> None:
    service.answers("StreamFulfillments", streaming(opened(7)), streaming(opened(7), batch(8), then="hang"))

    async with payments.started("tail", "--json") as process:
        assert await event_ids(process, 1) == ["fev_8"]

    first, second = service.requests["StreamFulfillments"]
    assert first.start.latest
    assert second.start.cursor == cursor_of(7)


async def test_a_heartbeats_cursor_counts_too(service: CannedService, payments: CommandLine) -> None:
    heartbeat = StreamFulfillmentsResponse(cursor=cursor_of(40), heartbeat=Heartbeat())
    service.answers("StreamFulfillments", streaming(opened(), heartbeat), streaming(batch(41), then="hang"))

    async with payments.started(*TAIL) as process:
        assert await event_ids(process, 1) == ["fev_41"]

    assert starts(service)[1] == cursor_of(40)


async def test_a_service_that_was_restarted_is_found_again(tmp_path: Path) -> None:
    before, after = CannedService(), CannedService()
    before.answers("StreamFulfillments", streaming(opened(), batch(1), then="hang"))
    after.answers("StreamFulfillments", streaming(opened(1), batch(2), then="hang"))

    async with AsyncExitStack() as stack:
        async with open_canned(before) as address:
            process = await stack.enter_async_context(CommandLine(tmp_path, target=address).started(*TAIL))
            assert await event_ids(process, 1) == ["fev_1"]
        await notice_with(process, "Trying again until it answers.")
        await stack.enter_async_context(open_canned(after, address))
        assert await event_ids(process, 1) == ["fev_2"]

    assert starts(after) == [cursor_of(1)]


async def test_a_silent_connection_is_given_up(service: CannedService, payments: CommandLine) -> None:
    service.answers(
        "StreamFulfillments",
        streaming(opened(heartbeat=1), batch(1), then="hang"),
        streaming(opened(1), batch(2), then="hang"),
    )

    async with payments.started(*TAIL) as process:
        assert await event_ids(process, 2) == ["fev_1", "fev_2"]
        await notice_with(process, "has been silent for 3 s")

    assert starts(service) == [b"", cursor_of(1)]


@pytest.mark.parametrize("reason", ["UNAUTHENTICATED", "CURSOR_EXPIRED"])
async def test_what_is_refused_for_good_ends_it(service: CannedService, payments: CommandLine, reason: str) -> None:
    service.answers("StreamFulfillments", streaming(opened(), batch(1), then=reason))

    finished = await payments.run(*TAIL)

    assert finished.code == 1
    assert finished.err.startswith(f"Error: It is {reason}. ({reason})")
    assert len(service.requests["StreamFulfillments"]) == 1


async def test_a_service_that_was_never_there_is_not_waited_for(tmp_path: Path) -> None:
    finished = await CommandLine(tmp_path, target="127.0.0.1:1").run("tail")

    assert finished.code == 1
    assert "Nothing answers at 127.0.0.1:1" in finished.err


async def test_it_can_end_with_what_there_is(service: CannedService, payments: CommandLine) -> None:
    caught_up = StreamFulfillmentsResponse(cursor=cursor_of(2), caught_up=CaughtUp())
    service.answers("StreamFulfillments", streaming(opened(), batch(1, 2), caught_up, then="hang"))

    finished = await payments.run(*TAIL, "--no-follow")

    assert finished.code == 0
    assert [json.loads(line)["event_id"] for line in finished.out.splitlines()] == ["fev_1", "fev_2"]


async def test_it_can_end_after_so_many(service: CannedService, payments: CommandLine) -> None:
    service.answers("StreamFulfillments", streaming(opened(), batch(1, 2), batch(3, 4), then="hang"))

    finished = await payments.run(*TAIL, "--limit", "3")

    assert len(finished.out.splitlines()) == 3


async def test_an_interrupt_says_where_to_go_on(service: CannedService, payments: CommandLine) -> None:
    """What the filter has passed over is behind it too."""
    past_the_event = batch(1)
    past_the_event.cursor = cursor_of(9)
    service.answers("StreamFulfillments", streaming(opened(), past_the_event, then="hang"))

    async with payments.started(*TAIL) as process:
        await event_ids(process, 1)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            _, err = await process.communicate()

    assert process.returncode == 130
    assert err.decode().endswith(f"--from {base64.b64encode(cursor_of(9)).decode()}\n")


@pytest.mark.parametrize("options", [(), ("--json",)])
async def test_it_ends_when_its_reader_has_enough(
    service: CannedService, payments: CommandLine, options: tuple[str, ...]
) -> None:
    read = asyncio.Event()

    async def stream(_: StreamFulfillmentsRequest, __: Context) -> AsyncIterator[StreamFulfillmentsResponse]:
        yield batch(1)
        await read.wait()
        yield batch(2)
        await asyncio.Event().wait()

    service.answers("StreamFulfillments", stream)

    async with payments.started("tail", *options) as process:
        await next_line(process)
        hang_up(process)
        read.set()
        assert process.stderr is not None
        err = await asyncio.wait_for(process.stderr.read(), PATIENCE)

    assert err == b""


async def test_the_filter_and_the_start_reach_the_service(service: CannedService, payments: CommandLine) -> None:
    service.answers("StreamFulfillments", streaming(opened(), batch(1)))

    await payments.run(
        *("tail", "--limit", "1", "--from", base64.urlsafe_b64encode(b"\xff\xfe\xfd").decode()),
        *("--organization", "org_1", "--type", "digital-good", "--type", "course", "--event", "fulfilled"),
        *("--event", "unclaimed", "--order", "ord_1"),
    )

    [request] = service.requests["StreamFulfillments"]
    assert request.start.cursor == b"\xff\xfe\xfd"
    assert list(request.filter.organization_ids) == ["org_1"]
    assert list(request.filter.purchase_types) == ["digital_good", "course"]
    assert list(request.filter.types) == [FulfillmentEvent.TYPE_FULFILLED, FulfillmentEvent.TYPE_UNCLAIMED]
    assert list(request.filter.order_ids) == ["ord_1"]


async def test_a_drain_says_when_to_come_back(service: CannedService, payments: CommandLine) -> None:
    draining = StreamFulfillmentsResponse(cursor=cursor_of(1), draining=Draining())
    draining.draining.reconnect_delay.FromMilliseconds(700)
    times: list[float] = []

    async def drained(_: Any, context: Context) -> AsyncIterator[StreamFulfillmentsResponse]:  # noqa: ANN401
        yield opened()
        yield draining
        times.append(asyncio.get_running_loop().time())
        await refuse(context, grpc.StatusCode.UNAVAILABLE, "DRAINING", "It ends here.")

    async def back(_: Any, __: Context) -> AsyncIterator[StreamFulfillmentsResponse]:  # noqa: ANN401
        times.append(asyncio.get_running_loop().time())
        yield batch(2)

    service.answers("StreamFulfillments", drained, back)

    await payments.run(*TAIL, "--limit", "1")

    assert times[1] - times[0] >= 0.7
