"""How many events a second StreamFulfillments brings to one Python client that decodes all of them.

A child process serves a log of realistic events from a SQLite file through a real grpc.aio server. The limit beside
it is the same responses, byte for byte, sent from memory by a bare handler of the same process in the same run.

    python tests/benchmarks/stream_rate.py [--events 150000] [--batch 100] [--rounds 3]
"""

import argparse
import asyncio
import cProfile
import multiprocessing
import statistics
import tempfile
import time
from contextlib import aclosing, nullcontext
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    StreamFulfillmentsRequest,
    StreamFulfillmentsResponse,
)
from payments_service.contract.pb.payments.v1.order_pb2 import (
    FULFILLMENT_STATE_FULFILLED,
    MODE_PAYMENT,
    PAYMENT_STATE_PAID,
    Fulfillment,
    Order,
)
from payments_service.contract.pb.payments.v1.purchase_pb2 import CoursePurchase, Money, Purchase
from payments_service.event_log.fulfillment_stream import FulfillmentStreams
from payments_service.event_log.sequencer import Sequencer
from payments_service.event_log.tailer import Tailer
from payments_service.identifiers import new_id
from payments_service.scope import EVERYTHING, Caller
from payments_service.storage.database import Database, open_database
from payments_service.storage.log_rows import OutboxEvent, append_events
from payments_service.storage.schema import migrate

Context = grpc.aio.ServicerContext[Any, Any]
CALLER = Caller("benchmark", operator=True, scope=EVERYTHING)
SERVICE = "payments.v1.Payments"


def realistic_event(now: datetime) -> FulfillmentEvent:
    """Make an event as a paid course order has it: ids, purchase, money, its fulfillment, twice."""
    time_now, later = Timestamp(), Timestamp()
    time_now.FromDatetime(now)
    later.FromDatetime(now + timedelta(hours=24))
    price = Money(currency_code="EUR", minor_units=4900)
    fulfillment = Fulfillment(
        fulfillment_id=new_id("ful"),
        source_id="cs_test_a1bK2mX9vQ7LrT4wZ8cY3nE6uJ5hG0pDfSsRkOiVtMqWxCbNyUzAeLjP",
        state=FULFILLMENT_STATE_FULFILLED,
        attempts=1,
        result={"course": "intro-to-sql", "seat": "1"},
        update_time=time_now,
        amount=price,
        payment_intent_id="pi_3OZx2eAbCdEfGhIj1kLmNoPq",
    )
    order_id = new_id("ord")
    order = Order(
        order_id=order_id,
        organization_id="org_acme",
        user_id="user_4711",
        purchase=Purchase(course=CoursePurchase(course_id="intro-to-sql", cohort_id="2026-11")),
        mode=MODE_PAYMENT,
        payment_state=PAYMENT_STATE_PAID,
        fulfillment_state=FULFILLMENT_STATE_FULFILLED,
        total=price,
        checkout_session_id=fulfillment.source_id,
        payment_intent_id=fulfillment.payment_intent_id,
        version=3,
        create_time=time_now,
        update_time=time_now,
        expire_time=later,
        fulfillments=[fulfillment],
        created_by="course-service",
        fulfillment_count=1,
    )
    return FulfillmentEvent(
        event_id=new_id("fev"),
        type=FulfillmentEvent.TYPE_FULFILLED,
        organization_id=order.organization_id,
        order_id=order_id,
        order_version=3,
        occur_time=time_now,
        order=order,
        fulfillment=fulfillment,
    )


async def fill(database: Database, count: int) -> None:
    """Put events on the log the way the service does: outbox, then sequencer."""
    sequencer = Sequencer(database, lambda: None)
    for start in range(0, count, 5_000):
        now = datetime.now(UTC)
        messages = [realistic_event(now) for _ in range(min(5_000, count - start))]
        async with database.transaction() as tx:
            await append_events(tx, [_staged(message, now) for message in messages])
        await sequencer.drain()


def _staged(message: FulfillmentEvent, now: datetime) -> OutboxEvent:
    return OutboxEvent(
        event_id=message.event_id,
        organization_id=message.organization_id,
        ordering_key=message.order_id,
        order_version=message.order_version,
        purchase_type="course",
        type=message.type,
        body=message.SerializeToString(),
        occur_time=now,
    )


def serve(path: Path, count: int, pipe: Connection, profile: bool) -> None:
    """Run the child: fill, listen, say where, stop when told."""
    asyncio.run(_serve(path, count, pipe, profile))


async def _serve(path: Path, count: int, pipe: Connection, profile: bool) -> None:
    async with open_database(f"sqlite+aiosqlite:///{path}") as database:
        await migrate(database)
        await fill(database, count)
        tailer = Tailer(database)
        await tailer.open()
        tailing = asyncio.create_task(tailer.run())
        streams = FulfillmentStreams(database, tailer, lambda: datetime.now(UTC))
        recorded: list[bytes] = []

        async def stream(data: bytes, context: Context) -> None:
            recorded.clear()
            async with aclosing(await streams.open(StreamFulfillmentsRequest.FromString(data), lambda: CALLER)) as sent:
                async for response in sent:
                    recorded.append(response)
                    await context.write(response)

        async def bare(_: bytes, context: Context) -> None:
            for response in recorded:
                await context.write(response)

        server = grpc.aio.server()
        methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "StreamFulfillments": grpc.unary_stream_rpc_method_handler(stream),
            "Bare": grpc.unary_stream_rpc_method_handler(bare),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        pipe.send(port)
        with cProfile.Profile() if profile else nullcontext() as profiler:
            await asyncio.to_thread(pipe.recv)
        if profiler:
            profiler.dump_stats("/tmp/stream_rate.profile")
        tailing.cancel()
        await server.stop(0)


async def read(channel: grpc.aio.Channel, method: str, batch: int, count: int) -> float:
    """Read the whole log, decoding and looking at every event; gives events a second."""
    request = StreamFulfillmentsRequest(start=StartPosition(earliest=True), max_batch_size=batch)
    open_call = channel.unary_stream(
        f"/{SERVICE}/{method}",
        request_serializer=StreamFulfillmentsRequest.SerializeToString,
        response_deserializer=StreamFulfillmentsResponse.FromString,
    )
    started, had = time.perf_counter(), 0
    call = open_call(request)
    async for response in call:
        had += sum(1 for event in response.events if event.order.order_id)
        if had == count:
            break
    seconds = time.perf_counter() - started
    call.cancel()
    return had / seconds


async def measure(port: int, arguments: argparse.Namespace) -> None:
    """Take turns between the two, so that a noisy minute falls on both."""
    options = [("grpc.max_receive_message_length", 16 * 1024 * 1024)]
    rates: dict[str, list[float]] = {"StreamFulfillments": [], "Bare": []}
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        for _ in range(arguments.rounds):
            for method, measured in rates.items():
                measured.append(await read(channel, method, arguments.batch, arguments.events))
                print(f"{method:>20}: {measured[-1]:>10,.0f} events/s")
    ours, limit = (statistics.median(measured) for measured in rates.values())
    print(f"median {ours:,.0f} events/s decoded; bare handler {limit:,.0f}; {ours / limit:.0%} of it")


def main() -> None:
    """Serve in a child that is spawned, never forked: grpc does not survive a fork."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=150_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="profile the server into /tmp/stream_rate.profile")
    arguments = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "payments.db"
        child = spawn.Process(target=serve, args=(path, arguments.events, theirs, arguments.profile))
        child.start()
        try:
            port = ours.recv()
            size = len(realistic_event(datetime.now(UTC)).SerializeToString())
            print(f"{arguments.events:,} events of {size} bytes, {arguments.batch} a response")
            asyncio.run(measure(port, arguments))
        finally:
            ours.send("stop")
            child.join(10)


if __name__ == "__main__":
    main()
