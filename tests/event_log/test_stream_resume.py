"""However often a stream is cut and resumed, from whichever cursor: what came together is exactly the filtered log."""

import asyncio
import itertools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from database_servers.postgres_server import PostgresServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, FulfillmentFilter
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsResponse
from payments_service.event_log.cursor import decode_cursor
from payments_service.event_log.tailer import TailerBounds
from payments_service.storage.log_page_rows import read_page
from payments_service.storage.log_rows import OutboxEvent

from .log_scene import (
    EARLIEST,
    FULFILLED,
    PAYMENT_SUCCEEDED,
    UNCLAIMED,
    LogPlace,
    Scene,
    StreamReader,
    at,
    open_scene,
    staged,
)

Kind = tuple[str, str, FulfillmentEvent.Type.ValueType]
KINDS: list[Kind] = [
    *itertools.product(["org_1", "org_2"], ["course", "service"], [PAYMENT_SUCCEEDED, FULFILLED]),
    ("", "", UNCLAIMED),
]
transactions = st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), max_size=6)
filters = st.builds(
    FulfillmentFilter,
    organization_ids=st.lists(st.sampled_from(["org_1", "org_2"]), max_size=1),
    purchase_types=st.lists(st.sampled_from(["course", "service"]), max_size=1),
    types=st.lists(st.sampled_from([PAYMENT_SUCCEEDED, FULFILLED, UNCLAIMED]), max_size=2),
    order_ids=st.lists(st.sampled_from(["ord_0", "ord_1"]), max_size=1),
)


@dataclass(frozen=True)
class Cut:
    """Where a stream is cut: after so many responses, keeping so many events of the last (None: its own cursor)."""

    responses: int
    events_kept: int | None


@dataclass(frozen=True)
class Story:
    """What is on the log before, what each appender adds meanwhile, who reads and how."""

    before: list[list[Kind]]
    appenders: list[list[list[Kind]]]
    filter: FulfillmentFilter
    batch_size: int
    cuts: list[Cut]
    bounds: TailerBounds


stories = st.builds(
    Story,
    before=transactions,
    appenders=st.lists(transactions, max_size=3),
    filter=filters,
    batch_size=st.integers(1, 7),
    cuts=st.lists(st.builds(Cut, st.integers(1, 4), st.none() | st.integers(0, 6)), max_size=12),
    bounds=st.builds(TailerBounds, ring_events=st.sampled_from([3, 20_000]), page_events=st.integers(1, 9)),
)


def is_wanted(event: FulfillmentEvent, purchase_type: str, requested: FulfillmentFilter) -> bool:
    """Decide naively."""
    return (
        (event.type in requested.types if requested.types else event.type != UNCLAIMED)
        and (not requested.organization_ids or event.organization_id in requested.organization_ids)
        and (not requested.purchase_types or purchase_type in requested.purchase_types)
        and (not requested.order_ids or event.order_id in requested.order_ids)
    )


async def append(scene: Scene, order: str, work: list[list[Kind]], numbers: "itertools.count[int]") -> None:
    """Append one order's events, a transaction after the other."""
    for kinds in work:
        await scene.stage(*(event_of(kind, order, next(numbers)) for kind in kinds))


def event_of(kind: Kind, order: str, number: int) -> OutboxEvent:
    organization, purchase_type, event_type = kind
    return staged(number, order=order, organization=organization, purchase_type=purchase_type, event_type=event_type)


async def read_until_cut(reader: StreamReader, cut: Cut) -> tuple[list[FulfillmentEvent], bytes]:
    """Give what the client has processed when its stream is cut, and the cursor that it has kept."""
    for _ in range(cut.responses):
        response = await reader.next()
        if response.WhichOneof("signal") == "caught_up":
            break
    await reader.stream.aclose()
    last = list(reader.responses[-1].events)
    if cut.events_kept is None or not last:
        return reader.events, reader.cursor
    kept = last[: cut.events_kept + 1]
    return reader.events[: len(reader.events) - len(last) + len(kept)], kept[-1].cursor


async def tell(story: Story, place: LogPlace) -> None:
    """Append while a client reads, is cut and resumes; then compare with the log itself."""
    numbers = itertools.count(1)
    async with open_scene(place) as scene:
        await append(scene, "ord_before", story.before, numbers)
        await scene.settle(sum(map(len, story.before)))
    async with open_scene(place, bounds=story.bounds, sequencers=2) as scene:
        appending = asyncio.gather(
            *(append(scene, f"ord_{order}", work, numbers) for order, work in enumerate(story.appenders))
        )
        start, received = EARLIEST, []
        for cut in story.cuts:
            reader = await scene.open(start, filter=story.filter, max_batch_size=story.batch_size)
            events, cursor = await read_until_cut(reader, cut)
            received += events
            start = at(cursor)
        await appending
        await scene.settle(next(numbers) - 1)
        last = await scene.open(start, filter=story.filter, max_batch_size=story.batch_size)
        await last.until("caught_up")
        assert decode_cursor(last.cursor).position == scene.tailer.head
        await compare(scene, story.filter, received + last.events)


async def compare(scene: Scene, requested: FulfillmentFilter, received: list[FulfillmentEvent]) -> None:
    async with scene.database.reading() as reading:
        page = await read_page(reading, 0, 10_000)
    log = StreamFulfillmentsResponse.FromString(page.frames).events
    wanted = [
        event.event_id
        for event, purchase_type in zip(log, page.purchase_types, strict=True)
        if is_wanted(event, purchase_type, requested)
    ]
    assert [event.event_id for event in received] == wanted
    versions: dict[str, int] = {}
    for event in received:
        assert event.order_version > versions.get(event.order_id, 0)
        versions[event.order_id] = event.order_version


@given(story=stories)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_stream_that_is_cut_anywhere_and_resumed_brings_exactly_the_filtered_log(
    empty_log: Path, story: Story
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(empty_log, folder))
        asyncio.run(asyncio.wait_for(tell(story, path), 30))


@given(story=stories)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_on_postgresql_too_a_stream_that_is_cut_anywhere_brings_exactly_the_filtered_log(
    postgres: PostgresServer, story: Story
) -> None:
    asyncio.run(asyncio.wait_for(_tell_in_a_new_database(story, postgres), 30))


async def _tell_in_a_new_database(story: Story, postgres: PostgresServer) -> None:
    async with postgres.new_database() as url:
        await tell(story, url)
