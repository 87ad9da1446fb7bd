"""How sessions begin, go on and end over real gRPC: what is refused, who takes whose shards, and when."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from integration.rpc.rpc_service import open_service, refusal

from payments_service.contract.pb.payments.v1 import fulfillment_stream_pb2 as pb

from .conftest import LEASE, LIMITS
from .contract_team import ContractTeam
from .group_scene import Group, Member, ids

LONG = 40.0
"""For what processes do that have one busy machine to share."""


async def test_the_first_message_opens_and_no_other_does(group: Group) -> None:
    await group.create()
    member = group.join()
    await member.say(ping={})
    answer = await refusal(member.read())
    assert (answer.code, answer.reason, answer.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
        ("open",),
    )
    async with group.join() as other:
        await other.say(open=other.opening)
        assert (await refusal(other.to_the_end())).reason == "INVALID_REQUEST"


@pytest.mark.parametrize(
    ("field", "opening"),
    [
        ("open.member_id", {"member_id": ""}),
        ("open.credit", {"credit": 10_001}),
        ("open.credit_bytes", {"credit_bytes": -1}),
    ],
)
async def test_a_wrong_opening_is_refused_by_field(group: Group, field: str, opening: dict[str, Any]) -> None:
    await group.create()
    answer = await refusal(group.join(**{"member_id": "a", **opening}).open())
    assert answer.fields == (field,)


async def test_credit_is_added_and_not_taken_away(group: Group) -> None:
    await group.create()
    async with group.join() as member:
        await member.say(add_credit={"credit": 0})
        assert (await refusal(member.to_the_end())).fields == ("add_credit.credit",)


async def test_an_ack_id_that_nobody_sent_is_told_and_harms_nobody(group: Group) -> None:
    await group.create()
    async with group.join() as member:
        await member.say(ack=pb.AckEvents(ack_ids=[b"nonsense"]))
        await member.until(lambda: b"nonsense" in member.failed)
        assert member.failed[b"nonsense"] == "ACK_ID_UNKNOWN"
        await group.fill(orders=1)
        await member.deliveries(1)


async def test_a_quiet_session_has_heartbeats(group: Group) -> None:
    await group.create()
    async with group.join(heartbeat_interval={"seconds": 1}) as member:
        await member.until(lambda: member.kinds.count("heartbeat") == 2)


async def test_an_idle_member_keeps_its_shards_though_it_says_nothing(group: Group) -> None:
    await group.create()
    async with group.join(heartbeat_interval={"seconds": 1}) as member:
        await member.until(lambda: member.kinds.count("heartbeat") > LEASE + 1)
        assert len(member.shards) == 32
        await group.fill(orders=1)
        await member.deliveries(1)


async def test_pings_keep_the_lease_of_a_member_that_works_long(database_url: str, tmp_path: Path) -> None:
    limits = replace(LIMITS, lease=4.0)
    async with open_service(tmp_path, database_url=database_url, limits=limits) as service:
        group = Group(service)
        await group.fill(orders=1)
        await group.create()
        async with group.join("a", heartbeat_interval={"seconds": 1}) as member:
            (delivery,) = await member.deliveries(1)
            while member.kinds.count("heartbeat") < limits.lease + 1:
                await member.read()
                await member.say(ping={})
            await member.ack(delivery)
            await member.confirmed(delivery)
            assert len(member.shards) == 32


async def test_a_silent_member_that_speaks_again_gets_shards_again(group: Group) -> None:
    await group.fill(orders=1)
    await group.create()
    async with group.join() as member:
        await member.deliveries(1)
        await member.until(lambda: not member.shards and "assignment" in member.kinds)
        await member.say(ping={})
        (again,) = await member.deliveries(1)
        assert again.attempt == 2
        await member.ack(again)
        await member.confirmed(again)


async def test_a_later_session_of_the_same_member_takes_all_over_at_once(group: Group) -> None:
    await group.fill(orders=2)
    await group.create()
    async with group.join("a") as old:
        await old.deliveries(2)
        async with group.join("a") as new:
            await new.deliveries(2)
            answer = await refusal(old.to_the_end())
            assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MEMBER_REPLACED")
            assert answer.metadata == {"member_id": "a"}
            await new.ack(*new.got)
            await new.confirmed(*new.got)


async def test_a_closed_member_finishes_its_acks_and_frees_its_shards_at_once(group: Group) -> None:
    await group.create()
    async with group.join("a") as one:
        await one.until(lambda: len(one.shards) == 32)
        await group.fill(orders=3)
        got = await one.deliveries(3)
        await one.say(close={})
        await group.fill(orders=3)
        await one.ack(*got)
        await one.confirmed(*got)
        await one.to_the_end()
        assert len(one.got) == 3
    async with group.join("b") as two:
        await two.deliveries(3)
        assert {delivery.attempt for delivery in two.got} == {1}


async def test_a_closed_member_that_works_long_leaves_the_rest_to_others_at_once(patient_group: Group) -> None:
    group = patient_group
    await group.create()
    async with group.join("a") as one:
        await one.until(lambda: len(one.shards) == 32)
        (last,) = await group.fill(orders=1)
        (long,) = await one.deliveries(1)
        await one.say(close={})
        async with group.join("b") as two:
            await two.until(lambda: len(two.shards) == 31)
            assert (await group.standing()).members == 1
            await one.ack(long)
            await one.to_the_end()
            assert long.ack_id in one.accepted
            await two.until(lambda: len(two.shards) == 32)
            (later,) = await group.fill(orders=1)
            assert ids(await two.deliveries(1)) == [later]
    assert last in one.ids


async def test_a_closed_members_next_session_lets_its_last_one_finish(patient_group: Group) -> None:
    group = patient_group
    await group.fill(orders=1)
    await group.create()
    async with group.join("a") as one:
        (long,) = await one.deliveries(1)
        await one.say(close={})
        await group.until(lambda: members(group), 0)
        async with group.join("a") as two:
            await two.until(lambda: len(two.shards) == 31)
            await one.ack(long)
            await one.confirmed(long)
            await one.to_the_end()
            await two.until(lambda: len(two.shards) == 32)
            assert not two.got


async def test_members_that_come_at_the_same_time_share_before_a_look_is_due(database_url: str, tmp_path: Path) -> None:
    limits = replace(LIMITS, survey=60.0, impatient_survey=60.0)
    async with open_service(tmp_path, database_url=database_url, limits=limits) as service:
        group = Group(service)
        await group.create(shard_count=6)
        async with group.join("a") as one, group.join("b") as two, group.join("c") as three:
            await asyncio.gather(*(holds(member, 2) for member in (one, two, three)))


async def test_a_shard_moves_only_when_its_work_is_done(group: Group) -> None:
    await group.create()
    async with group.join("a") as one:
        await one.until(lambda: len(one.shards) == 32)
        await group.fill(orders=100)
        got = await one.deliveries(100)
        async with group.join("b") as two:
            for _ in range(3):
                await one.say(ping={})
            await one.ack(*got)
            await one.confirmed(*got)
            await two.until(lambda: len(two.shards) == 16)
            assert not two.got


async def test_a_drain_is_told_answers_still_count_and_the_session_ends(group: Group) -> None:
    await group.fill(orders=2)
    await group.create()
    async with group.join() as member:
        one, two = await member.deliveries(2)
        group.service.parts.consumers.drain()
        await member.until(lambda: "draining" in member.kinds)
        await member.ack(one, two)
        await member.confirmed(one, two)
        answer = await refusal(member.to_the_end())
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert (await refusal(group.join().open())).reason == "DRAINING"
    assert (await group.standing()).members == 0


async def test_of_two_real_processes_one_is_killed_half_way_and_nothing_is_missing(
    group: Group, tmp_path: Path
) -> None:
    """Two members by stubs of the contract alone, the first of which dies by SIGKILL with events in its hands."""
    made = await group.create()
    async with ContractTeam(group, tmp_path) as team:
        one, two = await team.start("a"), await team.start("b")
        await group.until(lambda: members(group), 2)
        events = [event for _ in range(10) for event in await group.fill(orders=50, each=2)]
        await group.until(lambda: team.has_done("a", 150), wanted=True, patience=LONG)
        one.kill()
        await one.wait()
        killed = asyncio.get_running_loop().time()
        await group.until(lambda: backlog(group), 0, patience=LONG)
        took = asyncio.get_running_loop().time() - killed
        two.terminate()
        assert await two.wait() == 0

    counted = Counter(event for _, event in team.effects())
    assert set(counted) == set(events)
    assert sum(counted.values()) - len(events) <= team.credit, "only what was out at the killed one came twice"
    assert {name for name, _ in team.effects()} == {"a", "b"}
    assert (await group.standing()).members == made.backlog == 0
    print(f"all was done {took:.1f} s after the kill")


async def holds(member: Member, shards: int) -> None:
    await member.until(lambda: len(member.shards) == shards)


async def backlog(group: Group) -> int:
    return (await group.standing()).backlog


async def members(group: Group) -> int:
    return (await group.standing()).members
