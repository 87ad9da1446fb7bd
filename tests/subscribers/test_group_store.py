"""What a session's transactions refuse once its shards are another's: nothing of a late turn is written."""

from event_log.log_scene import staged

from payments_service.event_log.consumer_turn import LEASE_LOST, Turn
from payments_service.event_log.group_store import GroupStore
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.storage.exception_rows import RETRY, Setting
from payments_service.storage.log_frames import frame_event
from payments_service.storage.shard_rows import Membership, Place
from payments_service.storage.subscriber_rows import find_subscriber, read_places

from .group_scene import Group

THROUGH = 7


async def session_of(group: Group, number: int, lease: float = 60.0) -> GroupStore:
    async with group.service.stages.database.reading() as reading:
        row = await find_subscriber(reading, group.name)
    assert row
    me = Membership(group.name, row.create_time, f"m{number}", f"ses_{number}", lease)
    store = GroupStore(group.service.stages.database, me)
    await store.join()
    return store


def late_turn(epoch: int) -> Turn:
    body = staged(1).body
    event = FramedEvent(1, "org_1", "course", 2, "ord_1", frame_event(body, b"c" * 37))
    setting = Setting(0, 1, RETRY, 1, 0.0, "late")
    place = Place(epoch, THROUGH, b"", THROUGH)
    return Turn(places={0: place}, put_aside=[(setting, event)], accepted=[(0, b"ack")])


async def test_a_late_turn_writes_nothing_and_its_answers_are_refused(group: Group) -> None:
    await group.create(shard_count=1)
    old, new = await session_of(group, 1, lease=-1.0), await session_of(group, 2)
    (lost,) = await old.claim([0])
    (held,) = await new.claim([0])
    turn = late_turn(lost.epoch)

    await old.commit(turn, (await new.waiting([0]))[0].log_id)

    head, waiting = await new.waiting([0])
    assert held.epoch > lost.epoch
    assert waiting == []
    assert (turn.accepted, turn.put_aside, turn.failed) == ([], [], [(b"ack", LEASE_LOST)])
    async with group.service.stages.database.reading() as reading:
        assert [place.acked_through for place in (await read_places(reading, [group.name]))[group.name]] == [0]
    assert head.position == 0


async def test_a_turn_of_an_older_epoch_is_refused_though_the_shard_has_come_back(group: Group) -> None:
    await group.create(shard_count=1)
    store = await session_of(group, 1)
    (lost,) = await store.claim([0])
    await store.release([0])
    (held,) = await store.claim([0])
    turn = late_turn(lost.epoch)

    head, _ = await store.waiting([0])
    await store.commit(turn, head.log_id)

    assert turn.failed == [(b"ack", LEASE_LOST)]
    turn = late_turn(held.epoch)
    await store.commit(turn, head.log_id)
    assert [row.position for row in (await store.waiting([0]))[1]] == [1]
    assert turn.accepted == [(0, b"ack")]
