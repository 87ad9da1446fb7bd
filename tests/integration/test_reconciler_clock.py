"""The reconciler goes by Stripe's clock: where ours is wrong, or jumps, it still finds every event, and once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from payments_service.inbox.reconciler import Reconciler
from payments_service.storage.database import Database, open_database
from payments_service.storage.lease_rows import Fence, enlist_duties, take_duty
from payments_service.storage.reconcile_rows import known_event_ids
from payments_service.storage.schema import migrate
from payments_service.stripe_gateway.client import StripeGateway, StripeKey, open_gateway
from stripe_sandbox.configuration import SandboxConfig
from stripe_sandbox.sandbox_server import open_sandbox

from .stages import NotedWaker

RIGHT, AHEAD, BEHIND, A_DAY = timedelta(), timedelta(minutes=6), timedelta(minutes=-6), timedelta(days=1)
PAUSE = timedelta(minutes=2)


class SkewedHost:
    """A reconciler whose host's clock is as wrong as is said, and what happens at Stripe meanwhile."""

    def __init__(self, database: Database, gateway: StripeGateway, sandbox_url: str) -> None:
        self.skew = RIGHT
        self.happened: list[str] = []
        self._passed = timedelta()
        self._database = database
        self._reconciler = Reconciler(database, gateway, NotedWaker(), lambda: [], self._now)
        self._fence = Fence("reconcile", 1)
        self._sandbox_url = sandbox_url

    async def hold(self) -> None:
        """Have the duty."""
        async with self._database.transaction() as tx:
            await enlist_duties(tx, ["reconcile"])
            assert await take_duty(tx, "reconcile", "host", 600.0) == self._fence

    async def minutes_pass(self, *skews: timedelta) -> None:
        """Let an event happen, and some minutes pass, before each round, with the clock at each as wrong as is said."""
        for self.skew in skews:
            event = {"type": "product.created", "object": {"id": f"prod_{len(self.happened)}"}}
            self.happened.append((await self._sandbox("events", event))["id"])
            await self._sandbox("clock", {"advance_seconds": PAUSE.total_seconds()})
            self._passed += PAUSE
            await self._reconciler.catch_up(self._fence)

    async def missed(self) -> set[str]:
        """Name what has happened and is not in the inbox."""
        async with self._database.reading() as reading:
            return set(self.happened) - await known_event_ids(reading, self.happened)

    async def _sandbox(self, path: str, body: object) -> dict[str, str]:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self._sandbox_url}/_sandbox/{path}", json=body) as told,
        ):
            answer: dict[str, str] = await told.json()
            return answer

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._passed + self.skew


@pytest.fixture
async def host(database_url: str, tmp_path: Path) -> AsyncIterator[SkewedHost]:
    async with (
        open_database(database_url) as database,
        open_sandbox(SandboxConfig(port=0, database=tmp_path / "sandbox.db")) as sandbox,
        open_gateway(StripeKey("sk_test_123456789", sandbox.url)) as gateway,
    ):
        await migrate(database)
        opened = SkewedHost(database, gateway, sandbox.url)
        await opened.hold()
        yield opened


@pytest.mark.parametrize("skew", [RIGHT, AHEAD, BEHIND, A_DAY, -A_DAY])
async def test_a_clock_that_is_wrong_misses_no_event(host: SkewedHost, skew: timedelta) -> None:
    await host.minutes_pass(skew, skew, skew, skew)

    assert await host.missed() == set()


@pytest.mark.parametrize("jump", [AHEAD, BEHIND, A_DAY, -A_DAY])
async def test_a_clock_that_jumps_and_is_put_right_misses_no_event(host: SkewedHost, jump: timedelta) -> None:
    await host.minutes_pass(RIGHT, jump, jump, RIGHT, RIGHT)

    assert await host.missed() == set()
