"""Two processes of the service on one PostgreSQL: what happens in one is known in the other, and a duty is one's."""

import asyncio
from pathlib import Path

from database_servers.postgres_server import PostgresServer

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent

from .shop import PATIENCE, open_shop, settings_in

Type = FulfillmentEvent


async def test_a_stream_of_one_process_brings_what_another_one_sold(tmp_path: Path, postgres: PostgresServer) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    async with (
        postgres.new_database() as url,
        open_shop(settings_in(here, database_url=url)) as seller,
        open_shop(settings_in(there, database_url=url)) as reader,
        reader.subscribed() as subscription,
    ):
        order = await seller.checkout()
        await seller.buyer(order)
        fulfilled = await subscription.of(order, Type.TYPE_FULFILLED)
        seen = await reader.order_now(order)
        held = await postgres.run("SELECT name, holder FROM duty_leases", database=url.rpartition("/")[2])

    assert fulfilled.order_id == order.order_id
    assert seen.fulfillments
    assert {"sequence", "sweep_stripe_events", "sweep_fulfillments"} <= {name for name, _ in held}
    assert all(holder for _, holder in held)


async def test_a_process_that_stops_leaves_its_duties_to_the_next(tmp_path: Path, postgres: PostgresServer) -> None:
    async def holders(url: str) -> set[str]:
        rows = await postgres.run("SELECT DISTINCT holder FROM duty_leases", database=url.rpartition("/")[2])
        return {holder for (holder,) in rows}

    async def all_held(url: str) -> set[str]:
        async with asyncio.timeout(PATIENCE):
            while "" in (found := await holders(url)) or not found:  # noqa: ASYNC110  # it is in the database
                await asyncio.sleep(0.05)
        return found

    async with postgres.new_database() as url:
        async with open_shop(settings_in(tmp_path, database_url=url)):
            first = await all_held(url)
        left = await holders(url)
        async with open_shop(settings_in(tmp_path, database_url=url)):
            second = await all_held(url)

    assert (len(first), left, len(second)) == (1, {""}, 1)
    assert first != second
