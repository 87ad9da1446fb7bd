"""An event that is not ours reaches its handler byte for byte and signed, however often the handler fails at first."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import stripe
from aiohttp import web
from sqlalchemy import select, update

from payments_service.actors.forward_work import ForwardWork
from payments_service.forwarding.delivery import open_delivery
from payments_service.storage.tables import event_forwards

from .stages import Stages, open_stages

SECRET = "whsec_of_ours"
CREDITS = {"id": "cs_1", "object": "checkout.session", "metadata": {"type": "credits", "note": "café"}}


@dataclass
class Handler:
    """A handler of credits: fails as it is told to, and keeps what it was sent."""

    url: str = ""
    status: int = 200
    taken: list[tuple[bytes, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Take an event."""
        self.taken.append((await request.read(), request.headers["Stripe-Signature"]))
        return web.Response(status=self.status, headers={"Location": "http://127.0.0.1:9/"})


@pytest.fixture
async def handler() -> AsyncIterator[Handler]:
    made = Handler()
    application = web.Application()
    application.router.add_post("/hook", made.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield made
    await runner.cleanup()


@pytest.fixture
async def forwarding(database_url: str, handler: Handler) -> AsyncIterator[tuple[Stages, ForwardWork]]:
    async with (
        open_stages(database_url, forward_to=handler.url) as stages,
        open_delivery(SECRET, stages.now) as delivery,
    ):
        yield stages, ForwardWork(handler.url, stages.database, delivery, stages.now, lambda: 0.0)


async def states(stages: Stages) -> list[tuple[str, int, str]]:
    async with stages.database.reading() as reading:
        columns = (event_forwards.c.state, event_forwards.c.attempts, event_forwards.c.last_error)
        return [tuple(row) for row in await reading.execute(select(*columns))]


async def make_due(stages: Stages) -> None:
    async with stages.database.transaction() as tx:
        await tx.execute(update(event_forwards).values(next_attempt_time=None))


async def test_it_is_passed_on_unchanged_and_signed_as_stripe_does(
    forwarding: tuple[Stages, ForwardWork], handler: Handler
) -> None:
    stages, work = forwarding
    event = await stages.tell("checkout.session.completed", CREDITS)

    assert await work.forward_once() == 1
    assert await work.forward_once() == 0

    ((body, signature),) = handler.taken
    assert body == event.payload
    assert stripe.WebhookSignature.verify_header(body.decode(), signature, SECRET, tolerance=300)
    assert await states(stages) == [("done", 1, "")]


@pytest.mark.parametrize("status", [500, 302, 404])
async def test_a_handler_that_fails_is_tried_again_until_it_takes_it(
    forwarding: tuple[Stages, ForwardWork], handler: Handler, status: int
) -> None:
    stages, work = forwarding
    await stages.tell("checkout.session.completed", CREDITS)
    handler.status = status

    await work.forward_once()
    too_early = await work.forward_once()
    failed = await states(stages)
    handler.status = 200
    await make_due(stages)
    await work.forward_once()

    assert too_early == 0
    assert failed == [("pending", 1, f"answered {status}")]
    assert [row[0] for row in await states(stages)] == ["done"]


async def test_after_three_days_it_is_given_up_and_seen(
    forwarding: tuple[Stages, ForwardWork], handler: Handler
) -> None:
    stages, work = forwarding
    await stages.tell("checkout.session.completed", CREDITS)
    handler.status = 500
    stages.late = timedelta(days=3, minutes=1)

    await work.forward_once()

    assert await states(stages) == [("failed", 1, "answered 500")]


async def test_our_own_events_are_passed_on_to_nobody(forwarding: tuple[Stages, ForwardWork]) -> None:
    stages, work = forwarding
    await stages.tell("checkout.session.completed", {"id": "cs_1", "metadata": {"type": "course"}})

    assert await work.forward_once() == 0


async def test_two_workers_deliver_once(forwarding: tuple[Stages, ForwardWork], handler: Handler) -> None:
    stages, work = forwarding
    for _ in range(5):
        await stages.tell("checkout.session.completed", CREDITS)

    while sum(await asyncio.gather(work.forward_once(), work.forward_once())):
        continue

    assert len(handler.taken) == 5
