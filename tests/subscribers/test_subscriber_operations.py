"""What owners and operators do with subscribers, and what stands in the way of everybody else."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from event_log.log_scene import FULFILLED, UNCLAIMED, staged
from google.protobuf.timestamp_pb2 import Timestamp
from integration.rpc.rpc_service import CALLERS, COURSES, OPERATOR, OTHER, Entry, bearer, callers_toml, refusal
from sqlalchemy import update

from payments_service.contract.pb.payments.v1 import operations_pb2 as ops
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentFilter, StartPosition
from payments_service.contract.pb.payments.v1.subscriber_pb2 import Subscriber
from payments_service.storage.retention_rows import trim_log
from payments_service.storage.subscriber_rows import (
    delete_subscriber,
    find_subscriber,
    insert_subscriber,
    read_places,
)
from payments_service.storage.tables import event_log_head

from .group_scene import EARLIEST, Group, Member, ids

LATEST = StartPosition(latest=True)


async def test_a_new_subscriber_is_its_callers_with_what_was_left_out_filled_in(group: Group) -> None:
    await group.fill(orders=3)
    made = await group.create()
    assert (made.owner, made.shard_count, made.max_attempts) == ("shop", 32, 10)
    assert (made.backlog, made.parked, made.members, made.state) == (3, 0, 0, Subscriber.STATE_ACTIVE)
    assert made == await group.standing()


async def test_a_name_is_taken_once(group: Group) -> None:
    await group.create()
    answer = await refusal(group.create())
    assert (answer.code, answer.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SUBSCRIBER_EXISTS")


async def test_a_start_must_be_said(group: Group) -> None:
    assert (await refusal(group.create(StartPosition()))).reason == "START_REQUIRED"


async def test_every_wrong_field_of_a_new_subscriber_is_named(group: Group) -> None:
    group.name = ""
    wrong = FulfillmentFilter(order_ids=[""])
    answer = await refusal(group.create(shard_count=-1, max_attempts=-1, filter=wrong))
    assert answer.fields == (
        "subscriber.subscriber",
        "subscriber.shard_count",
        "subscriber.max_attempts",
        "subscriber.filter.order_ids[0]",
    )


async def test_a_filter_asks_for_no_more_than_its_caller_may_see(group: Group) -> None:
    answer = await refusal(group.create(filter=FulfillmentFilter(organization_ids=["org_2"])))
    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")


ASKED: dict[str, Callable[[Group], Awaitable[object]]] = {
    "seek": lambda group: group.seek(EARLIEST),
    "parked": lambda group: group.parked(),
    "replay": lambda group: group.replay(),
    "delete": lambda group: group.delete(),
    "open": lambda group: group.join().open(),
}


@pytest.mark.parametrize("name", ASKED)
async def test_anothers_subscriber_does_not_exist_and_an_operators_does(group: Group, name: str) -> None:
    await group.create()
    for stranger in (OTHER, COURSES):
        group.who = stranger
        answer = await refusal(ASKED[name](group))
        assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "SUBSCRIBER_NOT_FOUND")
        listed = await group.service.operations.ListSubscribers(ops.ListSubscribersRequest(), metadata=bearer(stranger))
        assert not listed.subscribers
    group.who = OPERATOR
    assert (await group.standing()).owner == "shop"
    await ASKED[name](group)


async def test_subscribers_are_listed_by_name_in_pages(group: Group) -> None:
    for name in ("b", "d", "a", "c"):
        group.name = name
        await group.create()
    listed, token = list[str](), ""
    while True:
        request = ops.ListSubscribersRequest(page_size=3, page_token=token)
        page = await group.service.operations.ListSubscribers(request, metadata=bearer("shop"))
        listed += [found.subscriber for found in page.subscribers]
        if not (token := page.next_page_token):
            break
    assert listed == ["a", "b", "c", "d"]


async def test_the_backlog_is_what_passes_the_filter_and_is_not_acknowledged(group: Group) -> None:
    await group.fill(orders=10)
    await group.fill(orders=5, event_type=FULFILLED)
    await group.fill(orders=7, organization="org_2")
    await group.create(filter=FulfillmentFilter(types=[FULFILLED]))
    assert (await group.standing()).backlog == 5
    async with group.join() as member:
        got = await member.deliveries(5)
        await member.ack(got[3], got[1])
        await member.confirmed(got[3], got[1])
        assert (await group.standing()).backlog == 3
        assert (await group.standing()).members == 1


async def test_what_is_left_out_moves_the_floors(group: Group) -> None:
    await group.create(filter=FulfillmentFilter(types=[FULFILLED]))
    async with group.join() as member:
        await group.fill(orders=20)

        async def floors() -> set[int]:
            async with group.service.stages.database.reading() as reading:
                places = (await read_places(reading, [group.name]))[group.name]
            return {place.acked_through for place in places}

        await group.until(lambda: floors(), {20})
        assert not member.got


async def test_latest_is_what_comes_from_now_on(group: Group) -> None:
    await group.fill(orders=3)
    await group.create(LATEST)
    later = await group.fill(orders=2)
    async with group.join() as member:
        await member.work(lambda: len(member.got) == 2)
        assert sorted(member.ids) == later


async def test_a_seek_is_heard_by_members_that_are_there(group: Group) -> None:
    events = await group.fill(orders=4)
    await group.create()
    async with group.join() as member:
        await member.work(lambda: len(member.got) == 4)
        await group.seek(EARLIEST)
        await member.work(lambda: len(member.got) == 8)
        assert sorted(member.ids[4:]) == events
        await group.fill(orders=1)
        await member.deliveries(1)
        assert (await group.seek(LATEST)).backlog == 0


async def test_a_deleted_subscribers_members_are_cut_off(group: Group) -> None:
    await group.create()
    async with group.join() as member:
        await group.delete()
        answer = await refusal(member.to_the_end())
        assert answer.reason == "SUBSCRIBER_NOT_FOUND"
    assert (await group.create()).backlog == 0


async def test_a_member_of_a_deleted_subscriber_has_no_part_in_one_that_was_made_under_its_name(group: Group) -> None:
    await group.create(filter=FulfillmentFilter(types=[FULFILLED]))
    async with group.join() as member:
        await member.until(lambda: len(member.shards) == 32)
        database = group.service.stages.database
        async with database.transaction() as tx:
            old = await find_subscriber(tx, group.name)
            assert old
            await delete_subscriber(tx, group.name)
            made = old.create_time + timedelta(microseconds=1)
            await insert_subscriber(tx, replace(old, filter=b"", create_time=made), 0)
        await group.fill(orders=3)
        answer = await refusal(member.to_the_end())
        assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "SUBSCRIBER_NOT_FOUND")
        assert not member.got
    async with group.join() as member:
        await member.deliveries(3)


async def test_a_subscriber_starts_where_it_is_told_to(group: Group) -> None:
    first = await group.fill(orders=2)
    await group.create()
    async with group.join() as member:
        cursor = max(
            (delivery.event for delivery in await member.deliveries(2)), key=lambda event: event.event_id
        ).cursor
    start = Timestamp()
    start.GetCurrentTime()
    later = await group.fill(orders=2)
    for number, (position, wanted) in enumerate(
        (
            (EARLIEST, first + later),
            (StartPosition(cursor=cursor), later),
            (StartPosition(time=start), later),
            (LATEST, []),
        )
    ):
        group.name = f"reader-{number}"
        made = await group.create(position)
        assert made.backlog == len(wanted)
        async with group.join() as member:
            await works(member, len(wanted))
            assert sorted(member.ids) == wanted


async def works(member: Member, events: int) -> None:
    await member.work(lambda: len(member.got) == events)


async def test_a_place_that_was_trimmed_away_is_lost_data_until_a_seek(group: Group) -> None:
    await group.fill(orders=4)
    await group.create()
    async with group.service.stages.database.transaction() as tx:
        await tx.execute(update(event_log_head).values(trimmed_through=2))
    assert (await group.standing()).state == Subscriber.STATE_LOST_DATA
    answer = await refusal(group.join().open())
    assert (answer.code, answer.reason) == (grpc.StatusCode.OUT_OF_RANGE, "CURSOR_EXPIRED")
    assert (await group.seek(EARLIEST)).state == Subscriber.STATE_ACTIVE
    async with group.join() as member:
        assert sorted(ids(await member.deliveries(2))) == ["fev_00000003", "fev_00000004"]


async def test_a_parked_event_keeps_its_body_when_the_log_is_trimmed(group: Group) -> None:
    (event,) = await group.fill(orders=1)
    await group.create()
    async with group.join() as member:
        (delivery,) = await member.deliveries(1)
        await member.nack(delivery, reason="a poison", park=True)
        await member.confirmed(delivery)
        async with group.service.stages.database.transaction() as tx:
            assert await trim_log(tx, datetime.now(UTC) + timedelta(hours=1)) == 1
        (parked,) = await group.parked()
        assert (parked.event, parked.attempts, parked.last_reason) == (delivery.event, 1, "a poison")
        assert await group.replay(event) == 1
        (back,) = await member.deliveries(1)
        assert back.event == delivery.event


async def test_a_parked_event_that_is_no_purchase_is_seen_and_replayed_whatever_types_its_owner_may_see(
    group: Group,
) -> None:
    group.who = Entry("plans", "caller", ["*"], ["course"])
    group.service.take_up(callers_toml(*CALLERS, group.who))
    (event,) = await group.fill(orders=1, event_type=UNCLAIMED, organization="", purchase_type="")
    await group.create(filter=FulfillmentFilter(types=[UNCLAIMED]))
    async with group.join() as member:
        (delivery,) = await member.deliveries(1)
        await member.nack(delivery, reason="a poison", park=True)
        await member.confirmed(delivery)
        assert [parked.event.event_id for parked in await group.parked()] == [event]
        assert await group.replay() == 1
        assert ids(await member.deliveries(1)) == [event]


async def test_parked_events_are_listed_the_last_first_in_pages(group: Group) -> None:
    await group.fill(orders=5)
    await group.create()
    async with group.join() as member:
        got = await member.deliveries(5)
        for delivery in got:
            await member.nack(delivery, park=True)
            await member.confirmed(delivery)
    found, token = list[str](), ""
    while True:
        request = ops.ListParkedEventsRequest(subscriber=group.name, page_size=2, page_token=token)
        page = await group.service.operations.ListParkedEvents(request, metadata=bearer("shop"))
        found += [parked.event.event_id for parked in page.parked_events]
        if not (token := page.next_page_token):
            break
    assert found == ids(reversed(got))


async def test_the_scope_at_creation_bounds_what_comes_when_the_caller_may_see_more(group: Group) -> None:
    await group.create()
    more = Entry("shop", "caller", ["org_1", "org_2"], ["*"])
    group.service.take_up(callers_toml(more, *CALLERS[1:]))
    await group.put(staged(1, order="ord_1", organization="org_2"), staged(2, order="ord_2"))
    async with group.join() as member:
        assert ids(await member.deliveries(1)) == ["fev_00000002"]
        await member.ack(*member.got)
        await member.confirmed(*member.got)
    assert (await group.standing()).backlog == 0


async def test_the_scope_of_now_bounds_what_comes_while_a_session_runs(group: Group) -> None:
    await group.create()
    async with group.join() as member:
        less = Entry("shop", "caller", ["org_1"], ["course"])
        group.service.take_up(callers_toml(less, *CALLERS[1:]))
        await group.put(staged(1, order="ord_1", purchase_type="service"), staged(2, order="ord_2"))
        assert ids(await member.deliveries(1)) == ["fev_00000002"]


async def test_a_caller_that_is_gone_is_cut_off(group: Group) -> None:
    await group.create()
    async with group.join() as member:
        group.service.take_up(callers_toml(*CALLERS[1:]))
        assert (await refusal(member.to_the_end())).reason == "UNAUTHENTICATED"


async def test_an_operator_who_sees_less_than_the_owner_passes_nothing_over(group: Group) -> None:
    narrow = Entry("narrow", "operator", ["*"], ["course"])
    group.service.take_up(callers_toml(*CALLERS, narrow))
    await group.create()
    group.who = narrow
    assert (await refusal(group.join().open())).reason == "CALLER_NOT_ALLOWED"
