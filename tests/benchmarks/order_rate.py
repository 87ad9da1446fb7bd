"""How many orders a second are fulfilled, from Stripe's webhook to FULFILLED in the log, by one worker and by two.

Bridge and workers are processes as an operator runs them, on PostgreSQL (durable) and Valkey of their own. The events
are posted straight to the bridge, one paid session an order, 32 at a time. Beside it, in the same run, pgbench sends
the same server the statements of an order, as often as it can.

    PYTHONPATH=tests python tests/benchmarks/order_rate.py [--orders 1000] [--rounds 3] [--major 18]
"""

import argparse
import asyncio
import os
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from broker_servers.broker_process import running_broker
from broker_servers.valkey import Valkey
from database_servers.postgres_binaries import find_programs
from database_servers.postgres_server import PostgresServer, running_postgres
from faults.installation import Installation
from pgbench_run import run_pgbench
from webhook_rate import SECRET, drive, signed_request

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.contract.pb.payments.v1.purchase_pb2 import CoursePurchase, Purchase
from payments_service.identifiers import new_id
from payments_service.orders.states import PaymentState
from payments_service.storage.database import open_database
from payments_service.storage.order_rows import insert_order
from payments_service.stripe_gateway.metadata import encode_purchase, purchase_type

CONNECTIONS = 32
PGBENCH_CLIENTS = (1, 4, 16)
ORDER_PATH = (Path(__file__).parent / "order_path.sql").read_text()
PREPARE = """
CREATE SEQUENCE order_path;
INSERT INTO orders (order_id, organization_id, user_id, created_by, request_id, request_digest, purchase_type, purchase,
                    mode, livemode, stripe_parameters, facts, payment_state, checkout_session_id, create_time,
                    update_time)
SELECT 'ord_' || n, 'org_1', 'user_1', 'shop', n, '', 'course', '', 1, false, '{}', '{}', 2, 'cs_' || n, now(), now()
FROM generate_series(1, 50000) n
"""
PATIENCE_SECONDS = 300.0
PURCHASE = Purchase(course=CoursePurchase(course_id="intro-to-sql"))
FULFILLED = "SELECT count(*), max(sequence_time) FROM event_log WHERE type = $1 AND organization_id = $2"
AGES = """
SELECT extract(epoch FROM log.sequence_time - event.receive_time) * 1000
FROM event_log log JOIN stripe_events event ON event.order_id = log.ordering_key
WHERE log.type = $1 AND log.organization_id = $2
"""


class Order(NamedTuple):
    """One that waits for its payment."""

    order_id: str
    session_id: str
    organization_id: str


class Round(NamedTuple):
    """What one round gave; the times are from an event's receipt to its order's place in the log."""

    rate: float
    p50: float
    p99: float
    cpu: float
    """Milliseconds of a core that the workers took for an order: the load of others changes it least."""


async def store_orders(url: str, count: int, organization_id: str) -> list[Order]:
    """Store orders as CreateCheckout leaves them."""
    orders = [Order(new_id("ord"), new_id("cs_test"), organization_id) for _ in range(count)]
    now = datetime.now(UTC)
    async with open_database(url) as database, database.transaction() as tx:
        for order in orders:
            values: dict[str, Any] = {
                "order_id": order.order_id,
                "organization_id": organization_id,
                "user_id": "user_1",
                "created_by": "shop",
                "request_id": order.order_id,
                "request_digest": b"",
                "purchase_type": purchase_type(PURCHASE),
                "purchase": PURCHASE.SerializeToString(),
                "mode": 1,
                "livemode": False,
                "stripe_parameters": {},
                "facts": {},
                "payment_state": PaymentState.OPEN,
                "checkout_session_id": order.session_id,
                "create_time": now,
                "update_time": now,
            }
            await insert_order(tx, values)
    return orders


def paid_event(order: Order) -> dict[str, Any]:
    """Write the event of a paid session, of the size that Stripe's have."""
    metadata = encode_purchase(
        PURCHASE, organization_id=order.organization_id, user_id="user_1", order_id=order.order_id
    )
    session = {
        "id": order.session_id,
        "object": "checkout.session",
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": new_id("pi"),
        "amount_total": 4900,
        "currency": "eur",
        "metadata": metadata,
        **{f"field_{number}": f"https://checkout.stripe.com/{number:032}" for number in range(48)},
    }
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(datetime.now(UTC).timestamp()),
        "data": {"object": session},
        "livemode": False,
        "type": "checkout.session.completed",
    }


async def fulfill(server: PostgresServer, installation: Installation, count: int) -> Round:
    """Post the events of new orders and wait until the log has all; the rate is by the log's own times."""
    name = installation.database_url.rpartition("/")[2]
    organization_id = new_id("org")
    which = (FulfillmentEvent.TYPE_FULFILLED, organization_id)
    orders = await store_orders(installation.database_url, count, organization_id)
    requests = [signed_request(paid_event(order)) for order in orders]
    began, used = datetime.now(UTC), workers_seconds(installation)
    await asyncio.to_thread(drive, f"http://127.0.0.1:{installation.ports['bridge']}", requests, CONNECTIONS)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            ((fulfilled, last),) = await server.run(FULFILLED, *which, database=name)
            if fulfilled >= count:
                break
            await asyncio.sleep(0.1)  # nobody tells of it
    ages = [float(row[0]) for row in await server.run(AGES, *which, database=name)]
    ranks = statistics.quantiles(ages, n=100)
    cpu = (workers_seconds(installation) - used) * 1000 / count
    return Round(count / (last - began).total_seconds(), ranks[49], ranks[98], cpu)


def workers_seconds(installation: Installation) -> float:
    """Sum what the workers have computed since they were started, as Linux counts it."""
    workers = [member.process for name, member in installation.members.items() if name.startswith("worker")]
    lines = [Path(f"/proc/{worker.pid}/stat").read_text() for worker in workers if worker is not None]
    ticks = [line.rpartition(")")[2].split()[11:13] for line in lines]
    return sum(int(tick) for pair in ticks for tick in pair) / os.sysconf("SC_CLK_TCK")


async def measure(server: PostgresServer, workers: int, orders: int, rounds: int) -> Sequence[Round]:
    """Run an installation with so many workers; its first round warms up and does not count."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payments-rate-")))
        url = await stack.enter_async_context(server.new_database())
        broker = await stack.enter_async_context(running_broker(Valkey()))
        installation = Installation(folder, url, broker.url, PAYMENTS_STRIPE_WEBHOOK_SECRETS=SECRET)
        installation.go_by(PAYMENTS_RECONCILE_INTERVAL="3600")
        stack.push_async_callback(installation.close)
        names = ["bridge", *(f"worker-{number}" for number in range(workers))]
        await asyncio.gather(*(installation.member(name).start() for name in names))
        await fulfill(server, installation, max(orders // 5, 50))
        return [await fulfill(server, installation, orders) for _ in range(rounds)]


async def compare(server: PostgresServer) -> None:
    """Let pgbench send the statements of an order, one order after the other at each client."""
    async with server.new_database() as url:
        for statement in PREPARE.split(";"):
            await server.run(statement, database=url.rpartition("/")[2])
        for clients in PGBENCH_CLIENTS:
            rate, p50, p99 = await run_pgbench(server, url, ORDER_PATH, clients)
            name = f"pgbench, the same statements, {clients} client{'s' * (clients > 1)}"
            print(f"{name:<44} {rate:7.0f} /s   p50 {p50:7.1f} ms   p99 {p99:7.1f} ms")


def told(name: str, rounds: Sequence[Round]) -> str:
    """Write one line of the table."""
    rate, p50, p99, cpu = (statistics.median(values) for values in zip(*rounds, strict=True))
    spread = ", ".join(f"{one.rate:.0f}" for one in rounds)
    times = f"p50 {p50:7.1f} ms   p99 {p99:7.1f} ms"
    return f"{name:<44} {rate:7.0f} /s   {times}   workers' CPU {cpu:.1f} ms an order (rounds: {spread})"


async def main(options: argparse.Namespace) -> None:
    """Measure all, and print the table."""
    programs = find_programs(options.major)
    assert programs is not None
    with running_postgres(programs, durable=True) as server:
        print("Orders a second; times are of an order in pgbench, and with all events posted at once in ours.")
        await compare(server)
        for workers in options.workers:
            rounds = await measure(server, workers, options.orders, options.rounds)
            print(told(f"fulfilled orders, {workers} worker{'s' * (workers > 1)}", rounds))
    print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--major", default="18")
    asyncio.run(main(parser.parse_args()))
