"""Members of one subscriber over real gRPC: what is delivered, in which order, and what an answer makes durable."""

import asyncio

import grpc
from integration.rpc.rpc_service import refusal

from .group_scene import Group, ids


async def test_a_member_gets_everything_from_the_start_and_acks_are_durable(group: Group) -> None:
    events = await group.fill(orders=30)
    await group.create()
    async with group.join() as member:
        await member.work(lambda: len(member.got) == 30)
        assert sorted(member.ids) == events
        assert {delivery.attempt for delivery in member.got} == {1}
        await member.say(close={})
        await member.to_the_end()
    assert (await group.standing()).backlog == 0
    later = await group.fill(orders=3)
    async with group.join() as member:
        assert sorted(ids(await member.deliveries(3))) == later


async def test_what_was_not_acked_comes_again_with_a_higher_attempt(group: Group) -> None:
    events = await group.fill(orders=4)
    await group.create()
    async with group.join() as member:
        first = await member.deliveries(4)
        await member.ack(first[0])
        await member.confirmed(first[0])
    async with group.join() as member:
        again = await member.deliveries(3)
        assert sorted(ids(again)) == sorted(set(events) - {first[0].event.event_id})
        assert {delivery.attempt for delivery in again} == {2}


async def test_an_orders_next_event_comes_after_the_ack_of_the_one_before(group: Group) -> None:
    events = await group.fill(orders=1, each=3)
    await group.create()
    async with group.join() as member:
        got = []
        for _ in events:
            (delivery,) = await member.deliveries(1)
            got.append(delivery)
            await member.ack(delivery)
            await member.confirmed(delivery)
        assert ids(got) == events


async def test_a_nacked_event_holds_its_order_back_and_no_other(group: Group) -> None:
    await group.fill(orders=2, each=3)
    await group.create()
    async with group.join() as member:
        first = {delivery.event.order_id: delivery for delivery in await member.deliveries(2)}
        await member.nack(first["ord_0"], delay=0.5)
        await member.ack(first["ord_1"])
        await member.work(lambda: [d.event.order_id for d in member.got].count("ord_1") == 3)
        await member.work(lambda: len(member.got) == 7)
    of_order = [(d.event.order_version, d.attempt) for d in member.got if d.event.order_id == "ord_0"]
    assert of_order == [(1, 1), (1, 2), (3, 1), (5, 1)]


async def test_after_the_last_attempt_an_event_is_parked_and_can_be_replayed(group: Group) -> None:
    events = await group.fill(orders=1, each=2)
    await group.create(max_attempts=2)
    async with group.join() as member:
        (one,) = await member.deliveries(1)
        await member.nack(one, reason="first")
        (two,) = await member.deliveries(1)
        await member.nack(two, reason="second")
        (next_one,) = await member.deliveries(1)
        assert next_one.event.event_id == events[1]
        (parked,) = await group.parked()
        assert (parked.event.event_id, parked.attempts, parked.last_reason) == (events[0], 2, "second")
        assert parked.event == one.event
        await member.ack(next_one)
        assert await group.replay() == 1
        (back,) = await member.deliveries(1)
        assert (back.event.event_id, back.attempt) == (events[0], 1)
        await member.ack(back)
        await member.confirmed(back)
    assert await group.parked() == []
    assert (await group.standing()).backlog == 0


async def test_credit_bounds_what_is_outstanding(group: Group) -> None:
    await group.fill(orders=20)
    await group.create()
    async with group.join(credit=3) as member:
        got = await member.deliveries(3)
        assert len(member.got) == 3
        await member.say(add_credit={"credit": 2})
        await member.deliveries(2)
        await member.ack(*got)
        await member.deliveries(3)
        assert len(member.got) == 8


async def test_two_members_share_the_work_and_a_killed_ones_goes_to_the_other(group: Group) -> None:
    await group.create()
    async with group.join("a") as one:
        await one.until(lambda: len(one.shards) == 32)
        async with group.join("b") as two:
            await asyncio.gather(one.until(lambda: len(one.shards) == 16), two.until(lambda: len(two.shards) == 16))
            events = await group.fill(orders=100)
            await two.until(lambda: len(two.got) > 20)
        await one.work(lambda: len(set(one.ids)) == 100)
        assert set(one.ids) == set(events)


async def test_a_silent_member_loses_its_shards_and_its_late_ack_is_refused(group: Group) -> None:
    await group.fill(orders=1)
    await group.create()
    async with group.join("a") as one:
        (delivery,) = await one.deliveries(1)
        async with group.join("b") as two:
            (again,) = await two.deliveries(1)
            assert again.event == delivery.event
            await one.until(lambda: not one.shards)
            await one.ack(delivery)
            await one.until(lambda: delivery.ack_id in one.failed)
            assert one.failed[delivery.ack_id] == "LEASE_LOST"
            await two.ack(again)
            await two.confirmed(again)


async def test_an_unknown_subscriber_is_refused(group: Group) -> None:
    member = group.join()
    await member.say(open=member.opening)
    answer = await refusal(member.read())
    assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "SUBSCRIBER_NOT_FOUND")
    assert answer.metadata == {"subscriber": "course-service"}
