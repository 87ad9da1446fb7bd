"""A database is restored from its backup: what Stripe knows comes back by itself, and no cursor is misled."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from database_servers.postgres_server import PostgresServer

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.contract.pb.payments.v1.operations_pb2 import ListStripeEventsRequest
from payments_service.contract.pb.payments.v1.order_pb2 import PAYMENT_STATE_PAID, Order
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent

from .shop import PATIENCE, Shop, open_shop, settings_in

FULFILLED = FulfillmentEvent.TYPE_FULFILLED


def dump(postgres: PostgresServer, url: str, file: Path) -> None:
    """Back up as docs/operations.md says, while the service runs."""
    _run(postgres, "pg_dump", "--format=custom", f"--file={file}", f"--dbname={_plain(url)}")


def restore(postgres: PostgresServer, file: Path, url: str) -> None:
    """Restore into an empty database."""
    _run(postgres, "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={_plain(url)}", str(file))


def _run(postgres: PostgresServer, program: str, *arguments: str) -> None:
    path = postgres.programs / program
    if not path.exists():
        pytest.skip(f"this PostgreSQL comes without {program}")
    subprocess.run([path, *arguments], check=True, capture_output=True, cwd="/")


def _plain(url: str) -> str:
    return url.replace("postgresql+asyncpg", "postgresql")


@asynccontextmanager
async def shop_on(url: str, folder: Path) -> AsyncIterator[Shop]:
    async with open_shop(settings_in(folder, database_url=url, reconcile_interval=0.5)) as shop:
        yield shop


async def bought(shop: Shop) -> Order:
    """Sell to somebody who pays, and wait until it is fulfilled."""
    async with shop.subscribed() as subscription:
        order = await shop.checkout()
        await shop.buyer(order)
        await subscription.of(order, FULFILLED)
    return order


async def cursor_now(shop: Shop) -> bytes:
    """Read the log to its end."""
    request = StreamFulfillmentsRequest(start=StartPosition(earliest=True))
    cursor = b""
    async for response in shop.payments.StreamFulfillments(request):
        cursor = response.cursor
        if response.HasField("caught_up"):
            break
    return cursor


async def first_after(shop: Shop, cursor: bytes) -> FulfillmentEvent:
    """Resume, and give the event that comes first."""
    async for response in shop.payments.StreamFulfillments(
        StreamFulfillmentsRequest(start=StartPosition(cursor=cursor))
    ):
        if response.events:
            return response.events[0]
    raise AssertionError


async def refusal_of(shop: Shop, cursor: bytes) -> str:
    """Resume from a cursor that is to be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in shop.payments.StreamFulfillments(StreamFulfillmentsRequest(start=StartPosition(cursor=cursor))):
            pass
    metadata = dict(refused.value.trailing_metadata() or ())
    return next(name for name in ("CURSOR_AHEAD", "CURSOR_DIVERGED") if name.encode() in _details(metadata))


def _details(metadata: dict[str, str | bytes]) -> bytes:
    details = metadata["grpc-status-details-bin"]
    return details if isinstance(details, bytes) else details.encode()


async def failed_event(shop: Shop) -> StripeEvent:
    """Wait for an event that could not be applied."""
    async with asyncio.timeout(PATIENCE):
        while True:
            request = ListStripeEventsRequest(states=[StripeEvent.STATE_FAILED])
            if events := (await shop.operations.ListStripeEvents(request)).stripe_events:
                return events[0]
            await asyncio.sleep(0.05)


async def test_a_restored_database_catches_up_with_stripe_and_refuses_cursors_of_what_is_lost(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    async with postgres.new_database() as url, postgres.new_database(migrated=False) as restored_url:
        async with shop_on(url, tmp_path) as shop:
            await bought(shop)
            open_order = await shop.checkout()
            kept = await cursor_now(shop)
            dump(postgres, url, tmp_path / "backup")
            async with shop.subscribed() as subscription:
                await shop.buyer(open_order)
                first = await subscription.of(open_order, FULFILLED)
            lost_order = await bought(shop)
            lost = await cursor_now(shop)
        restore(postgres, tmp_path / "backup", restored_url)
        async with shop_on(restored_url, tmp_path) as shop, shop.subscribed() as subscription:
            ahead = await refusal_of(shop, lost)
            caught_up = await subscription.of(open_order, FULFILLED)
            failed = await failed_event(shop)
            for _ in range(3):
                await bought(shop)
            diverged = await refusal_of(shop, lost)
            following = await first_after(shop, kept)
            paid = await shop.order_now(open_order)

    assert (ahead, diverged) == ("CURSOR_AHEAD", "CURSOR_DIVERGED")
    assert caught_up.order_id == following.order_id == open_order.order_id
    assert paid.payment_state == PAYMENT_STATE_PAID
    assert caught_up.fulfillment.fulfillment_id != first.fulfillment.fulfillment_id
    assert lost_order.order_id in failed.verdict_reason
