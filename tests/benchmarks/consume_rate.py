"""How many events a second one durable subscriber takes, each acknowledged, and each ack confirmed when it is durable.

A child process serves a log of realistic events through the service's own path of a call; the members are in this one,
by plain stubs that decode every event and acknowledge each by a message of its own, or a batch at once.

    PYTHONPATH=tests python tests/benchmarks/consume_rate.py [--events 30000] [--members 1] [--credit 1000] [--profile]
"""

import argparse
import asyncio
import cProfile
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

import grpc
from database_servers.postgres_binaries import find_programs
from database_servers.postgres_server import running_postgres
from stream_rate import CALLER, SERVICE, fill

from payments_service.contract.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_service.contract.pb.payments.v1.subscriber_pb2 import Subscriber
from payments_service.event_log.fulfillment_consumption import FulfillmentConsumers
from payments_service.event_log.subscriber_registry import SubscriberRegistry
from payments_service.event_log.tailer import Tailer
from payments_service.rpc.call_interceptor import CallInterceptor
from payments_service.rpc.callers import AnyCaller
from payments_service.storage.database import open_database
from payments_service.storage.schema import migrate

METHOD = "ConsumeFulfillments"
MANNERS = ("each event", "each response")


def serve(url: str, count: int, pipe: Connection, profile: bool) -> None:
    """Run the child: fill, listen, say where, stop when told."""
    asyncio.run(_serve(url, count, pipe, profile))


async def _serve(url: str, count: int, pipe: Connection, profile: bool) -> None:
    async with open_database(url) as database:
        await migrate(database)
        await fill(database, count)
        tailer = Tailer(database)
        await tailer.open()
        tailing = asyncio.create_task(tailer.run())
        consumers = FulfillmentConsumers(database, tailer, _now)
        registry = SubscriberRegistry(database, _now, consumers.tell)
        for manner in MANNERS:
            await registry.create(Subscriber(subscriber=manner), StartPosition(earliest=True), CALLER)
        interceptor = CallInterceptor(AnyCaller(), 60.0)
        answer = interceptor.conversation(
            f"{SERVICE}/{METHOD}",
            pb.ConsumeFulfillmentsRequest,
            lambda requests, _: consumers.open(requests, lambda: CALLER),
        )
        server = grpc.aio.server()
        handler: Any = grpc.stream_stream_rpc_method_handler(answer)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        pipe.send(port)
        with cProfile.Profile() if profile else nullcontext() as profiler:
            await asyncio.to_thread(pipe.recv)
        if profiler:
            profiler.dump_stats("/tmp/consume_rate.profile")
        consumers.drain()
        await server.stop(1)
        await consumers.departed()
        tailing.cancel()


class Tally:
    """What all members together have been confirmed."""

    def __init__(self, count: int) -> None:
        """Take how much there is."""
        self.left = count
        self.done = asyncio.Event()

    def confirm(self, count: int) -> None:
        """Count acks that are durable."""
        self.left -= count
        if self.left <= 0:
            self.done.set()


async def consume(channel: grpc.aio.Channel, manner: str, member: int, credit: int, tally: Tally) -> None:
    """Be a member until it is cancelled."""
    call: Any = PaymentsStub(channel).ConsumeFulfillments()
    opening = pb.OpenConsumer(subscriber=manner, member_id=f"member-{member}", credit=credit)
    await call.write(pb.ConsumeFulfillmentsRequest(open=opening))
    async for response in call:
        tally.confirm(len(response.ack_results.accepted))
        ids = [delivery.ack_id for delivery in response.deliveries.deliveries if delivery.event.order.order_id]
        for chosen in [[ack_id] for ack_id in ids] if manner == MANNERS[0] else [ids] * bool(ids):
            await call.write(pb.ConsumeFulfillmentsRequest(ack=pb.AckEvents(ack_ids=chosen)))


async def measure(name: str, port: int, arguments: argparse.Namespace) -> None:
    """Let the members take the whole log, once in each manner."""
    for manner in MANNERS:
        tally = Tally(arguments.events)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            started = time.perf_counter()
            members = [
                asyncio.create_task(consume(channel, manner, number, arguments.credit, tally))
                for number in range(arguments.members)
            ]
            done = asyncio.create_task(tally.done.wait())
            await asyncio.wait({done, *members}, return_when=asyncio.FIRST_COMPLETED)
            seconds = time.perf_counter() - started
            for task in (done, *members):
                task.cancel()
            await asyncio.gather(*members, return_exceptions=True)
        told = f"{arguments.members} member(s), credit {arguments.credit}, an ack for {manner}"
        print(f"{name:>10}, {told}: {(arguments.events - tally.left) / seconds:>9,.0f} events/s acknowledged")


@contextmanager
def places() -> Iterator[dict[str, str]]:
    """Give a database of each kind that this machine has."""
    with tempfile.TemporaryDirectory() as folder:
        found = {"sqlite": f"sqlite+aiosqlite:///{folder}/payments.db"}
        programs = find_programs("18")
        if programs is None:
            yield found
            return
        with running_postgres(programs) as server:
            yield found | {"postgresql": asyncio.run(_blank(server))}


async def _blank(server: Any) -> str:  # noqa: ANN401
    made = server.new_database(migrated=False)
    return str(await made.__aenter__())


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> None:
    """Serve in a child that is spawned, never forked: grpc does not survive a fork."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--credit", type=int, default=1_000)
    parser.add_argument("--profile", action="store_true", help="profile the server into /tmp/consume_rate.profile")
    arguments = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with places() as urls:
        for name, url in urls.items():
            ours, theirs = spawn.Pipe()
            child = spawn.Process(target=serve, args=(url, arguments.events, theirs, arguments.profile))
            child.start()
            try:
                asyncio.run(measure(name, ours.recv(), arguments))
            finally:
                ours.send("stop")
                child.join(10)


if __name__ == "__main__":
    main()
