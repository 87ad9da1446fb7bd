"""How many webhooks a second the bridge stores durably, and its p99 at 32 connections: on SQLite unless it is told.

A child process runs two bridges side by side: one stores, the other verifies and parses and answers. Everything else
is the same: server, handler, log line, payloads. The load comes from this process by bare sockets, signed beforehand.

    python tests/benchmarks/webhook_rate.py [--events 10000] [--connections 32] [--rounds 5] [--profile]
        [--database postgresql+asyncpg://...]
"""

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import pstats
import selectors
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from urllib.parse import urlsplit

from payments_service.checkout.lookup import OrderLookup
from payments_service.identifiers import new_id
from payments_service.inbox.event_envelope import read_event
from payments_service.inbox.receiver import Receipt, Receiver, open_receiver
from payments_service.observability.logs import configure_logs
from payments_service.storage.database import open_database
from payments_service.storage.schema import migrate
from payments_service.stripe_gateway.client import StripeKey, open_gateway
from payments_service.stripe_gateway.signature import sign_payload
from webhook_bridge.bridge_server import BridgeConfig, open_bridge

SECRET = "whsec_benchmark"


def now() -> datetime:
    """Give the time."""
    return datetime.now(UTC)


class SilentWaker:
    """Wakes nobody."""

    def wake_event(self, stripe_event_id: str) -> None:
        """Lose it."""

    def wake_fulfillment(self, fulfillment_id: str) -> None:
        """Lose it."""

    def poke_log(self) -> None:
        """Lose it."""


class ParsingReceiver(Receiver):
    """Reads an event as the real one does, and stores nothing."""

    async def receive(self, payload: bytes) -> Receipt:
        """Read it."""
        event = read_event(payload, self._clock())
        return Receipt(event.stripe_event_id, pending=True, deliveries=1, type=event.type)


async def serve(database_url: str, ready: Connection, log: TextIO) -> None:
    """Run both bridges until told to stop; their log is written and thrown away."""
    async with AsyncExitStack() as stack:
        configure_logs("json", log)
        database = await stack.enter_async_context(open_database(database_url))
        await migrate(database)
        gateway = await stack.enter_async_context(open_gateway(StripeKey("sk_test_benchmark", "http://127.0.0.1:9")))
        receivers = [ParsingReceiver(database, now), await stack.enter_async_context(open_receiver(database, now))]
        urls = []
        for receiver in receivers:
            bridge = open_bridge(
                BridgeConfig("127.0.0.1", 0, (SECRET,)),
                receiver=receiver,
                orders=OrderLookup(database, gateway, SilentWaker(), now),
                waker=SilentWaker(),
                clock=now,
            )
            urls.append((await stack.enter_async_context(bridge)).url)
        ready.send(urls)
        await asyncio.to_thread(ready.recv)


def run_child(database_url: str, ready: Connection, *, profiled: bool) -> None:
    """Be the child process."""
    profile = cProfile.Profile()
    if profiled:
        profile.enable()
    with Path("/dev/null").open("w") as log:
        asyncio.run(serve(database_url, ready, log))
    if profiled:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)


def signed_requests(count: int) -> Iterator[bytes]:
    """Write whole requests: a checkout session of Stripe's size (reading/stripe.md 1.1), each of its own."""
    for _ in range(count):
        session = {
            "id": new_id("cs_test"),
            "object": "checkout.session",
            "payment_intent": new_id("pi"),
            "status": "complete",
            "payment_status": "paid",
            "metadata": {"order_id": new_id("ord"), "type": "course", "purchase.course_id": "intro-to-sql"},
            **{f"field_{number}": f"https://checkout.stripe.com/{number:032}" for number in range(48)},
        }
        event = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": int(time.time()),
            "data": {"object": session},
            "livemode": False,
            "type": "checkout.session.completed",
        }
        yield signed_request(event)


def signed_request(event: Mapping[str, Any]) -> bytes:
    """Write one whole request, signed now."""
    payload = json.dumps(event).encode()
    head = (
        "POST /webhooks/stripe HTTP/1.1\r\nHost: bridge\r\nAccept: */*\r\nUser-Agent: Stripe/1.0\r\n"
        f"Content-Type: application/json\r\nStripe-Signature: {sign_payload(payload, SECRET, now())}\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


class Measured(NamedTuple):
    """What one round gave; times in milliseconds."""

    rate: float
    p50: float
    p99: float


def drive(url: str, requests: Sequence[bytes], connections: int) -> Measured:
    """Keep one request under way on each connection until all are answered 200."""
    parts = urlsplit(url)
    waiting, seconds = iter(requests), list[float]()
    begun: dict[socket.socket, float] = {}
    with selectors.DefaultSelector() as selector:
        start = time.perf_counter()
        for _ in range(connections):
            link = socket.create_connection((parts.hostname or "", parts.port or 0))
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(link, selectors.EVENT_READ)
            begun[link] = time.perf_counter()
            link.sendall(next(waiting))
        while len(seconds) < len(requests):
            for key, _ in selector.select():
                link = key.fileobj  # type: ignore[assignment]  # registered above
                read_answer(link)
                arrived = time.perf_counter()
                seconds.append(arrived - begun[link])
                if (request := next(waiting, None)) is not None:
                    begun[link] = arrived
                    link.sendall(request)
        spent = time.perf_counter() - start
    for link in begun:
        link.close()
    ranks = statistics.quantiles(seconds, n=100)
    return Measured(len(requests) / spent, ranks[49] * 1000, ranks[98] * 1000)


def read_answer(link: socket.socket) -> None:
    """Read one answer, which must be a 200."""
    answer = link.recv(65536)
    while not answer.endswith(b"}\n"):
        answer += link.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(answer.decode())


def main() -> None:
    """Measure both by turns, and print the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--database", default="")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        database_url = options.database or f"sqlite+aiosqlite:///{folder}/payments.db"
        child = context.Process(target=run_child, args=(database_url, there), kwargs={"profiled": options.profile})
        child.start()
        urls = here.recv()
        rounds: list[list[Measured]] = [[], []]
        for _ in range(options.rounds):
            for url, measured in zip(urls, rounds, strict=True):
                measured.append(drive(url, list(signed_requests(options.events)), options.connections))
        here.send("stop")
        child.join()
    report(rounds)


def report(rounds: list[list[Measured]]) -> None:
    """Print the medians over the rounds, and the ratio."""
    for name, measured in zip(("verified and parsed", "stored"), rounds, strict=True):
        rate, p50, p99 = (statistics.median(values) for values in zip(*measured, strict=True))
        print(f"{name:20} {rate:8,.0f} a second, p50 {p50:6.2f} ms, p99 {p99:6.2f} ms")
    ratios = [stored.rate / parsed.rate for parsed, stored in zip(*rounds, strict=True)]
    print(f"ratio {statistics.median(ratios):.2f} (of each round: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")


if __name__ == "__main__":
    main()
