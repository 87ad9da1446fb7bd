"""A demo is sold, watched, explained and put right by commands alone, over the real service."""

import json
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from integration.cli.command_line import CommandLine, next_line

from .shop import Shop, open_shop, settings_in

TYPES_OF_A_SALE = ["TYPE_CHECKOUT_COMPLETED", "TYPE_PAYMENT_SUCCEEDED", "TYPE_FULFILLED"]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """Sell on SQLite alone: what a command prints does not depend on the database."""
    async with open_shop(settings_in(tmp_path)) as opened:
        yield opened


@pytest.fixture
def payments(shop: Shop, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, target=shop.running.grpc_address)


async def sold(shop: Shop, payments: CommandLine, *options: str) -> Any:  # noqa: ANN401
    """Sell by the command, and have the buyer pay; give the order as it was made."""
    order = (await payments.run("checkout", "--json", *options)).json["order"]
    await shop.sandbox("POST", f"sessions/{order['checkout_session_id']}/pay")
    return order


async def told(tail: Process, event_type: str) -> Any:  # noqa: ANN401
    """Wait until the tail tells of an event of a type."""
    while (event := json.loads(await next_line(tail)))["type"] != event_type:
        pass
    return event


async def test_a_demo_is_sold_and_its_tail_shows_it_fulfilled(shop: Shop, payments: CommandLine) -> None:
    async with payments.started("tail", "--json", "--from", "earliest") as tail:
        order = await sold(shop, payments)
        events = [json.loads(await next_line(tail)) for _ in TYPES_OF_A_SALE]

    assert [event["type"] for event in events] == TYPES_OF_A_SALE
    assert {event["order_id"] for event in events} == {order["order_id"]}
    [listed] = (await payments.run("orders", "--json")).json["orders"]
    assert listed["fulfillment_state"] == "FULFILLMENT_STATE_FULFILLED"
    [entitlement] = (await payments.run("entitlements", "--user", "user_demo", "--json")).json["entitlements"]
    assert (entitlement["resource"], entitlement["active"]) == ("courses/intro-to-sql", True)


async def test_every_view_of_a_sale_is_readable(shop: Shop, payments: CommandLine) -> None:
    async with payments.started("tail", "--json", "--from", "earliest") as tail:
        order = await sold(shop, payments)
        await told(tail, "TYPE_FULFILLED")

    order_id, session_id = order["order_id"], order["checkout_session_id"]
    for arguments, said in {
        ("orders",): ("paid, fulfilled", "49.00 EUR", "course intro-to-sql"),
        ("order", session_id): (order_id, "paid, fulfilled", "by anonymous"),
        ("explain", session_id): ("rpc", "webhook", "actor", "stream", "checkout.session.completed"),
        ("events", "--order", order_id): ("checkout.session.completed", "applied", "ignored"),
        ("entitlements",): ("courses/intro-to-sql", "yes"),
        ("status",): ("test", "sqlite", "0 pending", "3 events"),
        ("tail", "--from", "earliest", "--no-follow"): ("checkout completed", "payment succeeded", "fulfilled"),
    }.items():
        piped = await payments.run(*arguments)
        assert piped.code == 0, piped.err
        assert [text for text in said if text not in piped.out] == []


async def test_the_same_request_id_gives_the_same_order(payments: CommandLine) -> None:
    options = ("checkout", "--request-id", "6f0f7c38-8a3a-4b7c-9c50-6f2b1d0c4b11", "--json")

    first, second = [(await payments.run(*options)).json["order"]["order_id"] for _ in range(2)]
    other = await payments.run(*options, "--user", "user_2")

    assert first == second
    assert (other.code, other.out) == (1, "")
    assert "(REQUEST_ID_REUSED)" in other.err


async def test_an_owner_completes_what_was_handed_out(shop: Shop, payments: CommandLine) -> None:
    async with payments.started("tail", "--json", "--from", "earliest") as tail:
        await sold(shop, payments, "--kind", "custom", "--currency", "JPY", "--amount", "1500")
        requested = await told(tail, "TYPE_FULFILLMENT_REQUESTED")
        fulfillment_id = requested["fulfillment"]["fulfillment_id"]

        late = await payments.run("complete", fulfillment_id, "--generation", "7")
        done = await payments.run("complete", fulfillment_id, "--result", "code=XY")
        fulfilled = await told(tail, "TYPE_FULFILLED")

    assert "(GENERATION_MISMATCH)" in late.err
    assert "code=XY" in done.out
    assert "1,500 JPY" in done.out
    assert fulfilled["fulfillment"]["result"] == {"code": "XY"}


async def test_what_an_owner_could_not_do_is_tried_again_by_an_operator(shop: Shop, payments: CommandLine) -> None:
    async with payments.started("tail", "--json", "--from", "earliest") as tail:
        await sold(shop, payments, "--kind", "service")
        requested = await told(tail, "TYPE_FULFILLMENT_REQUESTED")
        fulfillment_id = requested["fulfillment"]["fulfillment_id"]

        failed = await payments.run("fail", fulfillment_id, "--error", "nobody is free")
        listed = await payments.run("orders", "--fulfillment", "failed", "--json")
        retried = await payments.run("retry", fulfillment_id, "--json")
        await told(tail, "TYPE_FULFILLMENT_REQUESTED")

    assert "nobody is free" in failed.out
    assert len(listed.json["orders"]) == 1
    assert retried.json["order"]["fulfillment_state"] == "FULFILLMENT_STATE_PENDING"


async def test_a_dry_replay_shows_changes_and_makes_none(shop: Shop, payments: CommandLine) -> None:
    async with payments.started("tail", "--json", "--from", "earliest") as tail:
        await sold(shop, payments)
        await told(tail, "TYPE_FULFILLED")
    query = ("events", "--type", "checkout.session.completed", "--json")
    [before] = (await payments.run(*query)).json["stripe_events"]

    shown = await payments.run("replay", before["stripe_event_id"], "--dry-run")
    [after] = (await payments.run(*query)).json["stripe_events"]

    assert "would change; nothing was changed" in shown.out
    assert after == before


async def test_a_checkout_is_expired_by_its_session(payments: CommandLine) -> None:
    order = (await payments.run("checkout", "--json")).json["order"]

    expired = await payments.run("expire", order["checkout_session_id"])
    again = await payments.run("expire", order["order_id"])

    assert "expired" in expired.out
    assert "expired" in again.out


async def test_a_refused_checkout_names_each_wrong_field(payments: CommandLine) -> None:
    finished = await payments.run("checkout", "--amount", "0.01", "--success-url", "ftp://x", "--user", "")

    assert finished.code == 1
    assert [line.partition(":")[0].strip() for line in finished.err.splitlines()[1:]] == [
        "user_id",
        "line_items",
        "success_url",
    ]
