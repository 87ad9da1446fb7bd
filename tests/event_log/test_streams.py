"""What one stream sends: Opened first, batches, signals, and a cursor on everything, also past what does not match."""

import asyncio
from datetime import UTC, datetime

import pytest
from google.protobuf.duration_pb2 import Duration

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentFilter
from payments_service.errors import CallerNotAllowedError, InvalidRequestError
from payments_service.event_log.cursor import decode_cursor
from payments_service.event_log.tailer import TailerBounds
from payments_service.scope import Caller

from .log_scene import FULFILLED, LATEST, UNCLAIMED, LogPlace, Scene, ids, only, open_scene, scope_of

ONE_SECOND = Duration(seconds=1)


async def test_a_stream_opens_sends_what_is_there_catches_up_and_follows(scene: Scene) -> None:
    await scene.fill(250)
    reader = await scene.open()

    await reader.until("caught_up")
    await scene.fill(1)
    follow = await reader.next()

    assert [len(response.events) for response in reader.responses] == [0, 100, 100, 50, 0, 1]
    assert reader.signals == ["opened", "caught_up"]
    assert ids(reader.events) == [f"fev_{number:08}" for number in range(1, 252)]
    assert follow.cursor == follow.events[-1].cursor


async def test_the_first_response_says_what_the_stream_was_promised(scene: Scene) -> None:
    await scene.fill(3)
    reader = await scene.open(LATEST, heartbeat_interval=Duration(seconds=600))

    opened = (await reader.next()).opened

    assert opened.heartbeat_interval.seconds == 60
    assert decode_cursor(opened.earliest_cursor).position == 0
    assert decode_cursor(reader.cursor).position == 3


async def test_an_empty_log_is_caught_up_at_once(scene: Scene) -> None:
    reader = await scene.open()

    await reader.until("caught_up")

    assert reader.signals == ["opened", "caught_up"]
    assert [response.lag for response in reader.responses] == [0, 0]


async def test_the_lag_counts_down_to_the_head(scene: Scene) -> None:
    await scene.fill(25)
    reader = await scene.open(max_batch_size=10)

    await reader.until("caught_up")

    assert [response.lag for response in reader.responses] == [25, 15, 5, 0, 0]


async def test_events_of_another_kind_never_come_and_the_cursor_passes_them(scene: Scene) -> None:
    await scene.fill(30)
    reader = await scene.open(filter=only(FULFILLED))

    caught_up = await reader.until("caught_up")

    assert reader.events == []
    assert decode_cursor(caught_up.cursor).position == 30


async def test_unclaimed_events_come_only_where_the_filter_names_them(scene: Scene) -> None:
    await scene.fill(2, event_type=UNCLAIMED, organization="", purchase_type="", order="pi_1")
    await scene.fill(1)
    plain, named = await scene.open(), await scene.open(filter=only(UNCLAIMED))

    await plain.until("caught_up")
    await named.until("caught_up")

    assert ids(plain.events) == ["fev_00000003"]
    assert ids(named.events) == ["fev_00000001", "fev_00000002"]


async def test_heartbeats_carry_a_cursor_that_has_passed_what_did_not_match(scene: Scene) -> None:
    reader = await scene.open(filter=only(FULFILLED), heartbeat_interval=ONE_SECOND)
    await reader.until("caught_up")
    await scene.fill(7)

    heartbeat = await reader.until("heartbeat")

    assert decode_cursor(heartbeat.cursor).position == 7
    assert abs((heartbeat.heartbeat.server_time.ToDatetime(UTC) - datetime.now(UTC)).total_seconds()) < 30


async def test_a_batch_ends_before_it_grows_beyond_a_mebibyte(scene: Scene) -> None:
    await scene.fill(4, padding=300 * 1024)
    await scene.fill(1, padding=1536 * 1024)
    await scene.fill(1)
    reader = await scene.open()

    await reader.until("caught_up")

    assert [len(response.events) for response in reader.responses] == [0, 3, 1, 1, 1, 0]


async def test_a_delayed_batch_gathers_what_comes_meanwhile(scene: Scene) -> None:
    reader = await scene.open(max_batch_delay=Duration(seconds=30), max_batch_size=3)
    await reader.until("caught_up")
    gathered = asyncio.create_task(reader.next())

    await scene.fill(1)
    await scene.fill(2)

    assert len((await gathered).events) == 3


async def test_a_delayed_batch_goes_out_when_its_time_is_over(scene: Scene) -> None:
    reader = await scene.open(max_batch_delay=Duration(nanos=50_000_000))
    await reader.until("caught_up")

    await scene.fill(1)

    assert len((await reader.next()).events) == 1


async def test_a_stream_that_falls_out_of_the_ring_says_so_and_catches_up_again(log_place: LogPlace) -> None:
    async with open_scene(log_place, bounds=TailerBounds(ring_events=10, page_events=8)) as scene:
        reader = await scene.open(max_batch_size=4)
        await reader.until("caught_up")

        await scene.fill(60)
        await reader.until("caught_up")

        assert reader.signals == ["opened", "caught_up", "fell_behind", "caught_up"]
        assert ids(reader.events) == [f"fev_{number:08}" for number in range(1, 61)]


async def test_a_filtered_stream_leaves_the_loop_to_others_while_it_catches_up(log_place: LogPlace) -> None:
    async with open_scene(log_place, bounds=TailerBounds(page_events=250)) as scene:
        await scene.fill(3_000)
        reader = await scene.open(filter=only(FULFILLED))
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        await reader.until("caught_up")
        task.cancel()

        # A page of the ring is made of what was read at once, so it may hold nearly twice as many as are asked for.
        assert turns >= 3_000 // (2 * 250)


async def test_a_filter_for_another_organization_is_refused_before_the_first_response(scene: Scene) -> None:
    def caller() -> Caller:
        return Caller("course-service", operator=False, scope=scope_of("org_1"))

    with pytest.raises(CallerNotAllowedError, match="organization org_2"):
        await scene.open(caller=caller, filter=FulfillmentFilter(organization_ids=["org_2"]))


async def test_a_wrong_request_is_refused_before_the_first_response(scene: Scene) -> None:
    with pytest.raises(InvalidRequestError, match="max_batch_size"):
        await scene.open(max_batch_size=501)


async def test_a_cancelled_stream_disturbs_nobody(scene: Scene) -> None:
    first, second = await scene.open(), await scene.open()
    await first.until("caught_up")
    await second.until("caught_up")
    waiting = asyncio.create_task(first.next())
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    await scene.fill(1)

    assert len((await second.next()).events) == 1


async def test_many_streams_that_reconnect_at_once_read_each_page_once(log_place: LogPlace) -> None:
    async with open_scene(log_place) as scene:
        await scene.fill(2_000)
    async with open_scene(log_place) as scene:
        readers = [await scene.open(max_batch_size=500) for _ in range(100)]

        await asyncio.gather(*(reader.until("caught_up") for reader in readers))

        assert {len(reader.events) for reader in readers} == {2_000}
        assert scene.tailer.page_reads <= 5
