"""A worker of several processes shows all of them in one scrape, and none that is dead."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from broker_servers.broker_process import running_broker
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from .scrape import PATIENCE, Scrape, scrape, scrape_until

DUTIES = {"sequence", "reconcile", "overdue_orders", "trim", "sweep_stripe_events", "sweep_fulfillments"}


@asynccontextmanager
async def running_worker(folder: Path, database_url: str, broker_url: str) -> AsyncIterator[tuple[Process, Any]]:
    """Run two processes under one; gives what they report."""
    settings = {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "METRICS_ADDRESS": "127.0.0.1:0",
        "STRIPE_API_KEY": "sk_test_x",
        "STRIPE_API_BASE": "http://127.0.0.1:1",
        "LOG_FORMAT": "json",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PAYMENTS_")}
    with (folder / "worker.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "payments_service", "worker", "--processes", "2", "--json"),
            cwd=folder,
            env=inherited | {f"PAYMENTS_{name}": value for name, value in settings.items()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = await process.stdout.readline()
        assert line, (folder / "worker.log").read_text()[-3000:]
        yield process, json.loads(line)
    finally:
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            await process.wait()


def places(seen: Scrape) -> set[str]:
    return seen.names_of("process_start_time_seconds", "place")


def holds_all(seen: Scrape) -> bool:
    return all(seen.sum("payments_duty_held", duty=duty) == 1 for duty in DUTIES)


def a_child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@pytest.mark.timeout(240)
async def test_a_scrape_of_a_worker_tells_of_each_process_and_of_none_that_is_dead_or_hangs(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    async with (
        postgres.new_database() as url,
        running_broker(Valkey()) as broker,
        running_worker(tmp_path, url, broker.url) as (process, reported),
    ):
        metrics_url = reported["metrics_url"]
        both = await scrape_until(metrics_url, lambda seen: len(places(seen)) == 2 and holds_all(seen))
        os.kill(a_child_of(process.pid), signal.SIGKILL)
        one = await scrape_until(metrics_url, lambda seen: seen.sum("payments_worker_processes_ready") == 1)
        again = await scrape_until(metrics_url, lambda seen: len(places(seen)) == 2)
        frozen = a_child_of(process.pid)
        os.kill(frozen, signal.SIGSTOP)
        without_it = await scrape(metrics_url)
        os.kill(frozen, signal.SIGCONT)

    assert both.sum("payments_worker_processes_wanted") == 2
    assert both.all("payments_duty_rounds_total", duty="sequence", outcome="done")
    assert both.sum("payments_worker_process_ends_total") == 0
    assert both.all("payments_worker_process_answering") == [1, 1]
    assert one.sum("payments_worker_process_answering") == 1
    assert len(places(one)) == 1
    assert one.names_of("payments_duty_held", "place") == places(one)
    assert one.sum("payments_worker_process_ends_total") == 1
    assert again.sum("payments_worker_processes_ready") == 2
    assert len(places(without_it)) == without_it.sum("payments_worker_process_answering") == 1
    assert max(again.all("process_start_time_seconds")) > max(both.all("process_start_time_seconds"))
