"""All that streams and subscribers carry on this machine, in one run: beside its limit, its goal and JetStream's.

The limit is the same bytes written by a bare grpc.aio handler of the same server and read by the same client.

    make bench-streams [ARGUMENTS="--events 20000 --acknowledged 5000"]
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from acknowledged_rate import measure_acknowledged
from catch_up_rate import CatchUp, measure_catch_up
from database_servers.postgres_binaries import find_programs
from database_servers.postgres_server import running_postgres
from fan_out import Crowd, FanOut, measure_fan_out
from jetstream_rates import JetStream, measure_jetstream
from log_events import realistic_event
from log_server_process import MANNERS, LogServerProcess, log_server

POSTGRES = "18"
MOST_MESSAGES = 20_000
"""For JetStream, which syncs each message as it comes: more would take minutes to fill."""


class Ours(NamedTuple):
    """What one database gave."""

    catch_up: CatchUp
    alone: FanOut
    """A single stream."""
    crowd: FanOut
    bare_crowd: FanOut
    acknowledged: dict[str, float]
    bare_acknowledged: dict[str, float]


async def measure(name: str, url: str, options: argparse.Namespace) -> Ours:
    """Measure all on one database."""
    crowd = Crowd(options.streams, options.connections)
    _tell(f"{name}: a log of {options.events:,} events")
    with log_server(url, options.events, profile=options.profile) as server:
        _tell(f"{name}: fan-out")
        idle = await measure_fan_out(server, "StreamFulfillments", Crowd(2, 2), options.publications)
        busy = await measure_fan_out(server, "StreamFulfillments", crowd, options.publications)
        _tell(f"{name}: catch-up")
        catch_up = await measure_catch_up(server, options.batch, options.rounds)
        _tell(f"{name}: acknowledged")
        rates = await _acknowledged(server, "ConsumeFulfillments", options)
        bare_rates = await _acknowledged(server, "BareConsume", options)
    _tell("the bare handlers' fan-out")
    # A process of its own: what the crowd before left free would be this one's.
    with log_server(url, 0) as server:
        bare = await measure_fan_out(server, "BareLive", crowd, options.publications)
    return Ours(catch_up, idle, busy, bare, rates, bare_rates)


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


async def _acknowledged(server: LogServerProcess, method: str, options: argparse.Namespace) -> dict[str, float]:
    return {manner: await measure_acknowledged(server, method, manner, options.acknowledged) for manner in MANNERS}


@asynccontextmanager
async def _databases(folder: str) -> AsyncIterator[dict[str, str]]:
    """Give a database of each kind that this machine has."""
    async with AsyncExitStack() as stack:
        found = {"SQLite": f"sqlite+aiosqlite:///{folder}/payments.db"}
        if programs := find_programs(POSTGRES):
            server = stack.enter_context(running_postgres(programs))
            found["PostgreSQL"] = await stack.enter_async_context(server.new_database(migrated=False))
        yield found


Reading = Callable[[Ours], str]


def table(found: dict[str, Ours], jetstream: JetStream, options: argparse.Namespace) -> str:
    """Write all as Markdown."""
    many = f"{options.streams:,}"
    rows: list[tuple[str, str, Reading, Reading, str]] = [
        (
            "catch-up of one client, events/s decoded",
            "100,000 and 80 % of the limit",
            lambda one: f"{one.catch_up.ours:,.0f} ({one.catch_up.ours / one.catch_up.bare:.0%})",
            lambda one: f"{one.catch_up.bare:,.0f}",
            f"{jetstream.catch_up:,.0f}",
        ),
        (
            f"one event at the last of {many} streams, ms (worst)",
            "200",
            lambda one: f"{one.crowd.last_milliseconds:.0f} ({one.crowd.worst_milliseconds:.0f})",
            lambda one: f"{one.bare_crowd.last_milliseconds:.0f} ({one.bare_crowd.worst_milliseconds:.0f})",
            f"{jetstream.last_milliseconds:.0f}",
        ),
        (
            "the server's memory for an idle stream, KB",
            "60",
            lambda one: f"{one.crowd.kilobytes_a_stream:.0f}",
            lambda one: f"{one.bare_crowd.kilobytes_a_stream:.0f}",
            f"{jetstream.kilobytes_a_subscription:.0f}",
        ),
        (
            f"statements that read an event for 2 and for {many} streams",
            "1",
            lambda one: f"{one.alone.reads_an_event:.0f} and {one.crowd.reads_an_event:.0f}",
            lambda _: "",
            "",
        ),
        *((_acknowledged_row(manner, jetstream)) for manner in MANNERS),
    ]
    limits = [found[name] for name in found][:1]
    head = ["", *found, "limit", "goal", "JetStream"]
    lines = [
        [what, *(ours(one) for one in found.values()), *(limit(one) for one in limits), goal, other]
        for what, goal, ours, limit, other in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])


def _acknowledged_row(manner: str, jetstream: JetStream) -> tuple[str, str, Reading, Reading, str]:
    return (
        f"events/s through one member, an ack for {manner}",
        "5,000",
        lambda one: f"{one.acknowledged[manner]:,.0f}",
        lambda one: f"{one.bare_acknowledged[manner]:,.0f}",
        f"{jetstream.acknowledged[manner]:,.0f}",
    )


async def run(options: argparse.Namespace) -> None:
    """Measure one thing after the other, and print the table."""
    size = len(realistic_event(datetime.now(UTC)).SerializeToString())
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load before {load}; {options.events:,} events of {size} bytes, {options.batch} a response, "
        f"{options.streams:,} streams over {options.connections} connections\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        async with _databases(folder) as urls:
            found = {name: await measure(name, url, options) for name, url in urls.items()}
    with tempfile.TemporaryDirectory() as folder:
        crowd = Crowd(options.streams, options.connections)
        events = min(options.events, MOST_MESSAGES)
        jetstream = await measure_jetstream(
            Path(folder), events, min(options.acknowledged, events), crowd, options.publications
        )
    print(table(found, jetstream, options))


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--acknowledged", type=int, default=30_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--publications", type=int, default=10)
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--profile", action="store_true", help="profile the server")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
