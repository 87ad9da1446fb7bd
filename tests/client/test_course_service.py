"""The example course service, in a process of its own: it enrols who paid, once, also when it is told twice."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from acceptance.shop import Shop, open_shop, settings_in
from payments_client.pb.payments.v1 import operations_pb2
from payments_client.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_client.pb.payments.v1.order_pb2 import Order
from payments_client.pb.payments.v1.purchase_pb2 import CoursePurchase, Purchase

from .contract_server import Context, Serving, serving
from .example_process import EXAMPLES, PATIENCE, ExampleProcess, running
from .group_server import GroupServer
from .log_server import cursor_of

COURSE = Purchase(course=CoursePurchase(course_id="intro-to-sql"))


def told(position: int, event_type: FulfillmentEvent.Type.ValueType, number: int) -> FulfillmentEvent:
    order = Order(order_id=f"ord_{number}", user_id=f"user_{number}", purchase=COURSE)
    return FulfillmentEvent(
        event_id=f"evt_{position}",
        type=event_type,
        order_id=order.order_id,
        order_version=position,
        order=order,
        cursor=cursor_of(position),
    )


def enrolled(database: Path) -> list[str]:
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as connection:
        try:
            return sorted(user for (user,) in connection.execute("SELECT user_id FROM enrolment"))
        except sqlite3.OperationalError:  # its tables are not made yet
            return []


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(0.02)


@asynccontextmanager
async def course_service(address: str, database: Path) -> AsyncIterator[ExampleProcess]:
    command: list[str | Path] = [sys.executable, EXAMPLES / "consumer" / "course_service.py"]
    environment = {"PAYMENTS_TARGET": address, "COURSES_DATABASE": str(database)}
    async with running(command, environment) as example:
        yield example


async def test_it_enrols_who_gained_and_drops_who_lost_a_course(tmp_path: Path) -> None:
    wanted: list[operations_pb2.CreateSubscriberRequest] = []

    async def create(request: operations_pb2.CreateSubscriberRequest, _: Context) -> object:
        wanted.append(request)
        return operations_pb2.CreateSubscriberResponse(subscriber=request.subscriber)

    server = GroupServer(
        [
            told(1, FulfillmentEvent.TYPE_FULFILLED, 1),
            told(2, FulfillmentEvent.TYPE_FULFILLED, 2),
            told(3, FulfillmentEvent.TYPE_REVOKED, 2),
            told(4, FulfillmentEvent.TYPE_FULFILLED, 3),
        ]
    )
    server.lose = {"evt_1", "evt_4"}  # these are told twice
    methods: dict[str, Serving] = {"ConsumeFulfillments": server.consume, "CreateSubscriber": create}
    async with serving(methods) as address, course_service(address, tmp_path / "courses.db") as example:
        await until(lambda: server.is_done)
        assert await example.stop() == 0

    assert enrolled(tmp_path / "courses.db") == ["user_1", "user_3"]
    assert sorted(server.acked) == ["evt_1", "evt_2", "evt_3", "evt_4"]
    (request,) = wanted
    assert request.start.earliest
    assert list(request.subscriber.filter.purchase_types) == ["course"]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(settings_in(tmp_path)) as opened:
        yield opened


async def test_who_pays_in_the_sandbox_is_enrolled(shop: Shop, tmp_path: Path) -> None:
    database = tmp_path / "courses.db"
    async with course_service(shop.running.grpc_address, database) as example:
        await example.until("Enrolling those who pay")
        order = await shop.checkout(user_id="ada")
        await shop.buyer(order)
        await until(lambda: enrolled(database) == ["ada"])
        assert await example.stop() == 0
