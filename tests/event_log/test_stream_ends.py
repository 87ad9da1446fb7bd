"""How a stream ends: drained, aged, its caller gone or narrowed, its client too slow, its log no longer the same."""

import asyncio
import base64
from dataclasses import dataclass

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import delete, update
from structlog.testing import capture_logs

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentFilter
from payments_service.errors import (
    CallerNotAllowedError,
    CursorDivergedError,
    CursorExpiredError,
    DrainingError,
    SlowConsumerError,
    UnauthenticatedError,
)
from payments_service.event_log.stream_surroundings import StreamLimits
from payments_service.event_log.tailer import TailerBounds
from payments_service.scope import EVERYTHING, Caller, Scope
from payments_service.storage.tables import event_log, event_log_head

from .log_scene import LATEST, LogPlace, Scene, at, ids, open_scene, scope_of, staged


@dataclass
class Account:
    """A caller whose rights change while its stream is open."""

    scope: Scope = EVERYTHING
    known: bool = True

    def __call__(self) -> Caller:
        """Resolve the caller, as the interceptor does."""
        if not self.known:
            raise UnauthenticatedError("No known caller stands behind this call.")
        return Caller("course-service", operator=False, scope=self.scope)


async def test_a_drained_process_ends_an_idle_stream_at_once_with_a_cursor(log_place: LogPlace) -> None:
    async with open_scene(log_place, limits=StreamLimits(recheck=60)) as scene, asyncio.timeout(20):
        await scene.fill(3)
        reader = await scene.open(heartbeat_interval=Duration(seconds=60))
        await reader.until("caught_up")
        waiting = asyncio.create_task(reader.until("draining"))
        for _ in range(10):
            await asyncio.sleep(0)  # until it waits for the log to grow

        scene.streams.drain()
        draining = await waiting

        assert draining.cursor == reader.events[-1].cursor
        assert draining.draining.reconnect_delay.ToMilliseconds() <= 1000
        with pytest.raises(DrainingError):
            await reader.next()


async def test_a_drained_process_ends_a_stream_amid_its_catch_up_and_the_next_one_misses_nothing(scene: Scene) -> None:
    await scene.fill(2_000)
    reader = await scene.open(max_batch_size=10)
    await reader.until_events(20)

    scene.streams.drain()
    draining = await reader.until("draining")

    assert len(reader.events) == 20
    assert draining.cursor == reader.events[-1].cursor


async def test_a_drained_process_sends_a_batch_that_waits_before_it_says_so(scene: Scene) -> None:
    reader = await scene.open(max_batch_delay=Duration(seconds=30))
    await reader.until("caught_up")
    waiting = asyncio.create_task(reader.until("draining"))
    await scene.fill(2)
    await asyncio.sleep(0)

    scene.streams.drain()
    await waiting

    assert ids(reader.events) == ["fev_00000001", "fev_00000002"]


async def test_a_drained_process_takes_no_new_streams(scene: Scene) -> None:
    scene.streams.drain()

    with pytest.raises(DrainingError, match="about to stop"):
        await scene.open()


async def test_a_stream_of_great_age_ends_by_draining(log_place: LogPlace) -> None:
    async with open_scene(log_place, limits=StreamLimits(age=0.05)) as scene:
        reader = await scene.open()

        await reader.until("draining")

        with pytest.raises(DrainingError):
            await reader.next()


async def test_an_idle_stream_of_a_caller_that_is_gone_ends_within_seconds(log_place: LogPlace) -> None:
    async with open_scene(log_place, limits=StreamLimits(recheck=0.02)) as scene:
        account = Account()
        reader = await scene.open(caller=account, heartbeat_interval=Duration(seconds=60))
        await reader.until("caught_up")
        waiting = asyncio.create_task(reader.next())
        for _ in range(10):
            await asyncio.sleep(0)  # until it waits for the log to grow

        account.known = False

        async with asyncio.timeout(20):
            with pytest.raises(UnauthenticatedError):
                await waiting


async def test_a_caller_that_is_gone_gets_no_further_batch(scene: Scene) -> None:
    await scene.fill(30)
    account = Account()
    reader = await scene.open(caller=account, max_batch_size=10)
    await reader.until_events(10)

    account.known = False

    with pytest.raises(UnauthenticatedError):
        await reader.next()


async def test_a_narrowed_scope_counts_from_the_next_batch_on(scene: Scene) -> None:
    await scene.stage(*(staged(number, organization=f"org_{number % 2}") for number in range(1, 41)))
    await scene.settle(40)
    account = Account()
    reader = await scene.open(caller=account, max_batch_size=10)
    await reader.until_events(10)

    account.scope = scope_of("org_1")
    await reader.until("caught_up")

    assert {event.organization_id for event in reader.events[10:]} == {"org_1"}
    assert len(reader.events) == 10 + 15


async def test_a_narrowed_scope_counts_for_a_batch_that_waits(scene: Scene) -> None:
    account = Account()
    reader = await scene.open(caller=account, max_batch_delay=Duration(seconds=60))
    await reader.until("caught_up")
    waiting = asyncio.create_task(reader.until("draining"))
    await scene.stage(staged(1, organization="org_1"), staged(2, organization="org_2"))
    await scene.settle(2)
    for _ in range(10):
        await asyncio.sleep(0)  # until the batch waits for more

    account.scope = scope_of("org_2")
    scene.streams.drain()
    await waiting

    assert ids(reader.events) == ["fev_00000002"]


async def test_a_scope_that_no_longer_holds_what_the_filter_names_ends_the_stream(scene: Scene) -> None:
    account = Account()
    reader = await scene.open(caller=account, filter=FulfillmentFilter(organization_ids=["org_1"]))
    await reader.until("caught_up")
    account.scope = scope_of("org_2")
    await scene.fill(1)

    with pytest.raises(CallerNotAllowedError, match="organization org_1"):
        await reader.next()


async def test_a_client_that_does_not_read_is_cut_off_with_its_cursor(log_place: LogPlace) -> None:
    async with open_scene(log_place, limits=StreamLimits(stall=1.0)) as scene:
        await scene.fill(30)
        reader = await scene.open(max_batch_size=10)
        await reader.until_events(20)

        await asyncio.sleep(1.1)  # what a blocked write looks like from inside
        with pytest.raises(SlowConsumerError) as raised:
            await reader.next()

        resumed = await scene.open(at(base64.b64decode(raised.value.metadata["cursor"])))
        await resumed.until("caught_up")
        assert ids(reader.events + resumed.events) == [f"fev_{number:08}" for number in range(1, 31)]


async def test_a_stream_that_retention_overtakes_ends_expired(log_place: LogPlace) -> None:
    async with open_scene(log_place) as scene:
        await scene.fill(60)
    async with open_scene(log_place, bounds=TailerBounds(page_events=10)) as scene:
        reader = await scene.open(max_batch_size=10)
        await reader.until_events(10)
        async with scene.database.transaction() as tx:
            await tx.execute(delete(event_log).where(event_log.c.position <= 50))
            await tx.execute(update(event_log_head).values(trimmed_through=50))

        with pytest.raises(CursorExpiredError):
            await reader.until("caught_up")

        assert ids(reader.events) == [f"fev_{number:08}" for number in range(1, len(reader.events) + 1)]


async def test_a_live_stream_ends_when_its_log_is_restored_under_it(scene: Scene) -> None:
    await scene.fill(20)
    lost, kept = await scene.open(), await scene.open(LATEST)
    await lost.until("caught_up")
    await kept.until("caught_up")
    with capture_logs() as lines:
        await restore_to(scene, 10)
        await scene.stage(*(staged(number) for number in range(501, 516)))

        for reader in (lost, kept):
            with pytest.raises(CursorDivergedError):
                await reader.until_events(1_000)

    assert [line["event"] for line in lines] == ["event_log.discontinued"]
    reader = await scene.open()
    await reader.until("caught_up")
    assert ids(reader.events)[9:12] == ["fev_00000010", "fev_00000501", "fev_00000502"]


async def test_a_stream_behind_the_restored_point_goes_on_as_if_nothing_was(scene: Scene) -> None:
    await scene.fill(20)
    reader = await scene.open(max_batch_size=5)
    await reader.until_events(5)
    with capture_logs():
        lineage = scene.tailer.lineage
        await restore_to(scene, 10)
        await scene.stage(*(staged(number) for number in range(501, 516)))
        while scene.tailer.lineage == lineage or scene.tailer.head < 25:
            await scene.tailer.growth().wait()

    await reader.until("caught_up")

    expected = [f"fev_{number:08}" for number in [*range(1, 11), *range(501, 516)]]
    assert ids(reader.events) == expected


async def restore_to(scene: Scene, position: int) -> None:
    """Lose the tail of the log, as a failover to a lagging standby does."""
    async with scene.database.transaction() as tx:
        await tx.execute(delete(event_log).where(event_log.c.position > position))
        await tx.execute(update(event_log_head).values(position=position))
