"""What PostgreSQL gives on this machine: webhooks a second, what a batch costs the sequencer, how soon streams know.

It starts a server of its own from the wheel, durable as in production; pgbench sends it the same statements.

    PYTHONPATH=tests python tests/benchmarks/postgres_rates.py [--rounds 3] [--major 18]
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from database_servers.postgres_binaries import find_programs
from database_servers.postgres_server import PostgresServer, running_postgres
from event_log.log_scene import running, staged
from pgbench_run import run_pgbench

from payments_service.event_log.sequencer import Sequencer
from payments_service.event_log.tailer import Tailer
from payments_service.storage.database import Database, open_database
from payments_service.storage.log_listener import LogListener
from payments_service.storage.log_rows import SEQUENCE_BATCH, append_events, sequence_events

HERE = Path(__file__).parent
INSERT = """
INSERT INTO stripe_events (stripe_event_id, type, stripe_account, livemode, api_version, payload, object_id,
                           payment_intent_id, source, state, deliveries, stripe_create_time, receive_time,
                           next_attempt_time)
SELECT gen_random_uuid(), 'checkout.session.completed', '', false, '2026-10-28.endive',
       decode(repeat('ab', 3500), 'hex'), gen_random_uuid(), gen_random_uuid(), 'webhook', 1, 1, now(), now(),
       statement_timestamp()
FROM generate_series(1, {rows})
ON CONFLICT (stripe_event_id) DO UPDATE SET deliveries = stripe_events.deliveries + excluded.deliveries
RETURNING stripe_event_id, state, deliveries;
"""
"""The bridge's own statement, of as many events as it has at 32 connections, or of one."""


async def compare(server: PostgresServer, url: str) -> None:
    """Let pgbench store the same rows by the same statement."""
    for rows, clients in ((1, 1), (1, 32), (16, 1), (16, 2)):
        rate, p50, p99 = await run_pgbench(server, url, INSERT.format(rows=rows), clients)
        name = f"pgbench, {rows} event{'s' * (rows > 1)} a commit, {clients} client{'s' * (clients > 1)}"
        print(f"{name:<44} {rate * rows:7.0f} /s   p50 {p50:7.2f} ms   p99 {p99:7.2f} ms", flush=True)


def receive(url: str, rounds: int) -> None:
    """Measure the whole bridge by HTTP."""
    command = [sys.executable, str(HERE / "webhook_rate.py"), "--database", url, "--rounds", str(rounds)]
    subprocess.run(command, check=True)


async def sequence(database: Database, rounds: int) -> None:
    """Measure batches of all sizes, from the call to its return."""
    for size in (1, 10, SEQUENCE_BATCH):
        spent = []
        for _ in range(rounds * 20):
            async with database.transaction() as tx:
                await append_events(tx, [staged(number, padding=300) for number in range(size)])
            start = time.perf_counter()
            async with database.at_once() as writing:
                assert await sequence_events(writing) == size
            spent.append((time.perf_counter() - start) * 1000)
        print(f"sequencing {size:3} events: p50 {statistics.median(spent):5.2f} ms a batch")


async def know(database: Database, url: str, rounds: int, *, listening: bool) -> None:
    """Measure from a commit in one process to the tailer of another."""
    tailer = Tailer(database)
    await tailer.open()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(tailer.run()))
        listener = LogListener(url, tailer.hint)
        if listening:
            await stack.enter_async_context(running(listener.run()))
            await _until(lambda: listener.listening)
        other = await stack.enter_async_context(open_database(url))
        sequencer = Sequencer(other, lambda: None, tick_seconds=None)
        await stack.enter_async_context(running(sequencer.run()))
        spent = [await _one(other, sequencer, tailer) for _ in range(rounds * (100 if listening else 10))]
    ranks = statistics.quantiles(spent, n=100)
    way = "by NOTIFY" if listening else "by the poll alone"
    print(f"commit to another process's tailer, {way}: p50 {ranks[49]:6.2f} ms, p95 {ranks[94]:6.2f} ms")


async def _one(other: Database, sequencer: Sequencer, tailer: Tailer) -> float:
    grown = tailer.growth()
    async with other.transaction() as tx:
        await append_events(tx, [staged(1, padding=300)])
    start = time.perf_counter()
    sequencer.poke()
    await grown.wait()
    return (time.perf_counter() - start) * 1000


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # there is no event to wait for
        await asyncio.sleep(0.01)


async def measure(server: PostgresServer, rounds: int) -> None:
    """Measure everything on a new database each."""
    async with server.new_database() as url:
        print("Webhooks a second, and the time that each takes; the bridge's are by HTTP, at 32 connections.")
        await compare(server, url)
        await asyncio.to_thread(receive, url, rounds)
    async with server.new_database() as url, open_database(url) as database:
        await sequence(database, rounds)
        for listening in (True, False):
            await know(database, url, rounds, listening=listening)


def main() -> None:
    """Start a server and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--major", default="18")
    options = parser.parse_args()
    programs = find_programs(options.major)
    assert programs is not None
    with running_postgres(programs, durable=True) as server:
        asyncio.run(measure(server, options.rounds))
    print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
