"""A server dies at each step of a refund, and its caller asks again by the same id: the money goes back once."""

import asyncio
from uuid import uuid4

import grpc
import pytest

from payments_service.contract.pb.payments.v1.order_pb2 import Refund
from payments_service.contract.pb.payments.v1.payments_pb2 import RefundOrderRequest, RefundOrderResponse
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub

from .conftest import LONG
from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("shared"),
]
ANSWERED = "before-statement:UPDATE refunds SET asking_lease_expire_time=.*, asking_doubtful="
"""Stripe has answered, and its refund is about to be kept."""
DOOMS = [ANSWERED, "after-commit:1", "before-commit:2", "after-commit:2", "before-commit:3", "after-commit:3"]


@pytest.mark.parametrize(
    "doom", DOOMS if LONG else DOOMS[:1], ids=lambda doom: "stripe-answered" if doom == ANSWERED else doom
)
async def test_a_refund_is_made_once_whenever_its_server_dies(shared_scene: Scene, doom: str) -> None:
    """Nobody but the caller's repetition can find it: the workers are away, and with them what Stripe tells."""
    installation, shoppers = shared_scene.installation, shared_scene.shoppers
    workers = [installation.members[name] for name in ("worker", "worker-2")]
    order_id = await shoppers.sell()
    await shoppers.all_is_well()
    await asyncio.gather(*(member.kill() for member in (installation.members["serve"], *workers)))
    doomed = installation.doomed_member("serve-doomed", doom)
    await doomed.start()
    request = RefundOrderRequest(request_id=str(uuid4()), order_id=order_id)

    async def refund() -> RefundOrderResponse:
        async with grpc.aio.insecure_channel(installation.target) as channel:
            reply: RefundOrderResponse = await PaymentsStub(channel).RefundOrder(request, timeout=10)
            return reply

    refunding = asyncio.create_task(shoppers.again(refund))
    assert await doomed.ended() == -9
    await installation.members["serve"].start()
    shoppers.fault_has_ended()
    reply = await refunding
    while reply.refund.state != Refund.STATE_SUCCEEDED:
        await asyncio.sleep(0.5)
        reply = await shoppers.again(refund)
    await asyncio.gather(*(member.start() for member in workers))

    assert reply.refund.amount.minor_units == 4900
    del installation.members["serve-doomed"]
    await shoppers.all_is_well(fault=f"a server dies amid a refund, its workers too [{doom[:16]}]")
