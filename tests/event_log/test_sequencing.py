"""Positions are gap-free and in the order of each order's versions, whoever appends, sequences, fails or is cut off."""

import asyncio
import random
from collections import defaultdict
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import event, func, insert, select, text, update
from structlog.testing import capture_logs

from payments_service.event_log.sequencer import Sequencer
from payments_service.storage.database import Database
from payments_service.storage.log_frames import cursor_bytes, event_tag, frame_event
from payments_service.storage.log_rows import append_events, read_head, sequence_events
from payments_service.storage.tables import event_log, event_log_head, event_outbox

from .log_scene import LogPlace, Scene, ids, logged, open_scene, staged


async def read_log(database: Database) -> list[tuple[int, str, int]]:
    """Read positions, ordering keys and versions."""
    columns = (event_log.c.position, event_log.c.ordering_key, event_log.c.order_version)
    async with database.reading() as reading:
        result = await reading.execute(select(*columns).order_by(event_log.c.position))
        return [(row[0], row[1], row[2]) for row in result]


async def count_staged(database: Database) -> int:
    async with database.reading() as reading:
        return (await reading.execute(select(func.count()).select_from(event_outbox))).scalar_one()


def assert_whole(log: list[tuple[int, str, int]], versions: dict[str, int]) -> None:
    """Require each order's versions 1..n once and in order, and positions without a gap."""
    assert [position for position, _, _ in log] == list(range(1, sum(versions.values()) + 1))
    seen: dict[str, list[int]] = defaultdict(list)
    for _, order, version in log:
        seen[order].append(version)
    assert seen == {order: list(range(1, count + 1)) for order, count in versions.items()}


async def test_many_appenders_and_sequencers_leave_no_gap_and_keep_each_orders_order(log_place: LogPlace) -> None:
    async with open_scene(log_place, sequencers=3) as scene:

        async def append(order: str) -> None:
            for first in range(1, 41, 4):
                await scene.stage(*(staged(number, order=order) for number in range(first, first + 4)))

        await asyncio.gather(*(append(f"ord_{number}") for number in range(8)))
        await scene.settle(320)

        assert_whole(await read_log(scene.database), {f"ord_{number}": 40 for number in range(8)})
        assert await count_staged(scene.database) == 0


async def test_more_events_than_a_batch_are_sequenced_in_one_run(scene: Scene) -> None:
    await scene.fill(1_100)

    assert_whole(await read_log(scene.database), {"ord_1": 1_100})


async def test_a_transaction_that_fails_after_sequencing_leaves_no_gap(scene: Scene) -> None:
    async def fail() -> None:
        async with scene.database.transaction() as tx:
            await append_events(tx, [staged(1), staged(2)])
            assert await sequence_events(tx) == 2
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await fail()
    await scene.fill(2)

    assert_whole(await read_log(scene.database), {"ord_1": 2})


async def test_sequencers_that_are_cut_off_anywhere_leave_no_gap(scene: Scene) -> None:
    chance = random.Random(7)  # noqa: S311

    async def be_cut_off() -> None:
        for _ in range(25):
            task = asyncio.create_task(Sequencer(scene.database, scene.tailer.hint).drain())
            await asyncio.wait({task}, timeout=chance.uniform(0, 0.004))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def append() -> None:
        for number in range(1, 101):
            await scene.stage(staged(number))

    await asyncio.gather(be_cut_off(), append())
    await scene.settle(100)

    assert_whole(await read_log(scene.database), {"ord_1": 100})


async def test_a_tick_finds_what_nobody_poked_for(scene: Scene) -> None:
    async with scene.database.transaction() as tx:
        await append_events(tx, [staged(1)])

    await scene.settle(1)


async def test_an_idle_tick_does_not_take_the_turn_of_sqlites_one_writer(log_file: Path) -> None:
    begun: list[object] = []
    async with open_scene(log_file) as scene:
        await scene.fill(1)
        event.listen(scene.database.engine.sync_engine, "begin", begun.append)
        idle = Sequencer(scene.database, scene.tailer.hint)
        for _ in range(3):
            await idle.tick()

    assert begun == []


async def test_a_sequencer_survives_a_failure_of_any_kind_and_says_so(scene: Scene) -> None:
    await scene.fill(1)
    with capture_logs() as lines:
        async with scene.database.transaction() as tx:
            await tx.execute(text("ALTER TABLE event_log RENAME TO event_log_away"))
        await scene.stage(staged(2))
        await logged(lines, "event_log.sequencer.")
        async with scene.database.transaction() as tx:
            await tx.execute(text("ALTER TABLE event_log_away RENAME TO event_log"))
        await scene.settle(2)

    assert_whole(await read_log(scene.database), {"ord_1": 2})


async def test_a_listener_that_raises_does_not_stop_the_log(scene: Scene) -> None:
    told = 0

    def complain() -> None:
        nonlocal told
        told += 1
        raise RuntimeError("the listener's own fault")

    sequencer = Sequencer(scene.database, complain)
    with capture_logs():
        task = asyncio.create_task(sequencer.run())
        for number in (1, 2):
            async with scene.database.transaction() as tx:
                await append_events(tx, [staged(number)])
            sequencer.poke()
            await scene.settle(number)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert_whole(await read_log(scene.database), {"ord_1": 2})


async def test_a_hole_is_loud_and_never_skipped(scene: Scene) -> None:
    await scene.fill(3)
    reader = await scene.open()
    await reader.until("caught_up")
    with capture_logs() as lines:
        async with scene.database.transaction() as tx:
            log_id = (await read_head(tx)).log_id
            await tx.execute(insert(event_log), [row_at(log_id, 5)])
            await tx.execute(update(event_log_head).values(position=5))
        scene.tailer.hint()
        await logged(lines, "event_log.tailer.failed")
        assert scene.tailer.head == 3

        async with scene.database.transaction() as tx:
            await tx.execute(insert(event_log), [row_at(log_id, 4)])
        await reader.until_events(5)

    assert ids(reader.events) == [f"fev_{number:08}" for number in range(1, 6)]


async def test_the_head_is_known_to_whoever_asks(scene: Scene) -> None:
    await scene.fill(7)

    async with scene.database.reading() as reading:
        assert (await read_head(reading)).position == 7


def row_at(log_id: UUID, position: int) -> dict[str, object]:
    made = staged(position)
    names = ("event_id", "organization_id", "ordering_key", "order_version", "purchase_type", "type", "occur_time")
    row: dict[str, object] = {name: getattr(made, name) for name in names}
    frame = frame_event(made.body, cursor_bytes(log_id, position, event_tag(made.event_id)))
    return {**row, "position": position, "frame": frame, "sequence_time": made.occur_time}
