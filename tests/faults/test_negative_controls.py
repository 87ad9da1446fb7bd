"""The suite bites: with one rule broken, what the other tests here require of the service does not hold."""

from collections.abc import AsyncIterator
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from acceptance.shop import checkout_request
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub

from .checker.judge import verdict
from .scene import Scene, open_scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("controls"),
]
SCRIPT = "sabotaged_process.py"
LONG_ENOUGH = 5.0
"""Several times what a sale takes, and several sweeps."""
DROP_UNIQUE = "ALTER TABLE orders DROP CONSTRAINT uq_orders_organization_id_created_by_request_id"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broken(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Give an installation whose reconciler is too slow to mend what the bridge breaks."""
    async with open_scene(server, tmp_path_factory.mktemp("installation"), Valkey()) as scene:
        scene.installation.go_by(PAYMENTS_RECONCILE_INTERVAL="3600")
        await scene.installation.member("serve").start()
        yield scene


async def replaced(scene: Scene, name: str, how: str = "") -> None:
    """Run a process in place of the one of its name, broken or sound."""
    if name in scene.installation.members:
        await scene.installation.members[name].kill()
    wayward, sound = scene.installation.wayward_member, scene.installation.member
    await (wayward(name, SCRIPT, how) if how else sound(name)).start()


async def test_a_wake_up_before_the_commit_is_noticed_where_nothing_sweeps_behind_it(broken: Scene) -> None:
    await replaced(broken, "bridge")
    await replaced(broken, "worker", "unswept")
    await broken.shoppers.sell()
    await broken.shoppers.all_is_well()
    await replaced(broken, "bridge", "hasty")
    order_id = await broken.shoppers.sell()
    seen, _ = await broken.shoppers.settled(LONG_ENOUGH)
    problems = await verdict(seen, broken.installation.sandbox_url)
    await replaced(broken, "worker")

    assert f"{order_id} is paid and has 0 fulfillments" in problems
    await broken.shoppers.all_is_well()


async def test_a_webhook_that_is_acknowledged_and_not_stored_is_noticed(broken: Scene) -> None:
    await replaced(broken, "worker")
    await replaced(broken, "bridge", "forgetful")
    order_id = await broken.shoppers.sell()
    seen, _ = await broken.shoppers.settled(LONG_ENOUGH)
    problems = await verdict(seen, broken.installation.sandbox_url)
    await replaced(broken, "worker")

    assert any("was acknowledged and is not stored" in problem for problem in problems)
    assert f"{order_id} is paid and has 0 fulfillments" in problems
    await broken.shoppers.all_is_well()


async def test_a_request_id_that_is_not_unique_is_noticed(broken: Scene) -> None:
    request = checkout_request(request_id=str(uuid4()))
    async with grpc.aio.insecure_channel(broken.installation.target) as channel:
        payments = PaymentsStub(channel)
        sound = {(await payments.CreateCheckout(request)).order.order_id for _ in range(2)}
        await broken.server.run(DROP_UNIQUE, database=broken.installation.database_url.rpartition("/")[2])
        unguarded = {(await payments.CreateCheckout(request)).order.order_id for _ in range(2)}

    assert len(sound) == 1
    assert len(unguarded) == 2
