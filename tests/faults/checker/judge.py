"""Judges what happened: what was paid, what Stripe was answered, what is stored, and what a subscriber was sent.

It asks Stripe's stand-in by HTTP and the database by SQL, and knows nothing else of the service.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg

FULFILLED = 3
HEADERS = {"authorization": "Bearer sk_test_sandbox"}
Row = dict[str, Any]


@dataclass
class Evidence:
    """All that is known at one moment."""

    paid_orders: list[str]
    stripe_events: list[str]
    inbox: set[str]
    fulfillments: list[Row]
    entitlements: list[str]
    log: list[Row]
    history: list[Row]
    unsettled: int
    sessions_of: Counter[str] = field(default_factory=Counter)
    refunds_of: Counter[str] = field(default_factory=Counter)


async def gather(sandbox_url: str, database_url: str, told: str) -> Evidence:
    """Ask both ends; the subscriber has told its lines."""
    async with aiohttp.ClientSession(headers=HEADERS) as http:
        sessions = await _listed(http, f"{sandbox_url}/v1/checkout/sessions")
        events = await _listed(http, f"{sandbox_url}/v1/events")
        refunds = await _listed(http, f"{sandbox_url}/v1/refunds")
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = {name: [dict(row) for row in await connection.fetch(sql)] for name, sql in _QUERIES.items()}
    finally:
        await connection.close()
    return Evidence(
        paid_orders=[session["metadata"]["order_id"] for session in sessions if session["payment_status"] == "paid"],
        stripe_events=[event["id"] for event in events],
        inbox={row["stripe_event_id"] for row in rows["inbox"]},
        fulfillments=rows["fulfillments"],
        entitlements=[row["order_id"] for row in rows["entitlements"]],
        log=rows["log"],
        history=[json.loads(line) for line in told.splitlines() if line.endswith("}")],
        unsettled=sum(row["settle_time"] is None for row in rows["inbox"]) + len(rows["outbox"]),
        sessions_of=Counter(session["metadata"]["order_id"] for session in sessions),
        refunds_of=Counter(refund["metadata"]["order_id"] for refund in refunds),
    )


async def verdict(seen: Evidence, sandbox_url: str) -> list[str]:
    """Name everything that is not as promised; empty is good."""
    lost = [event_id for event_id in seen.stripe_events if event_id not in seen.inbox]
    async with aiohttp.ClientSession() as http:
        stored = [
            f"{event_id} was acknowledged and is not stored"
            for event_id in lost
            if await _was_acknowledged(http, sandbox_url, event_id)
        ]
    return [*_fulfilled_once(seen), *_refunded_once(seen), *stored, *_sequenced(seen), *_delivered(seen)]


def is_settled(seen: Evidence) -> bool:
    """Say whether all that was paid is fulfilled and told, and nothing waits."""
    told = {told["order_id"] for told in seen.history if told["type"] == "TYPE_FULFILLED"}
    revoked = {told["order_id"] for told in seen.history if told["type"] == "TYPE_REVOKED"}
    complete = set(seen.paid_orders) <= told and set(seen.refunds_of) <= revoked
    return not seen.unsettled and complete and len(_ids(seen.history)) >= len(seen.log)


_QUERIES = {
    "inbox": "SELECT stripe_event_id, settle_time FROM stripe_events",
    "outbox": "SELECT event_id FROM event_outbox",
    "fulfillments": "SELECT order_id, state, generation FROM fulfillments",
    "entitlements": "SELECT order_id FROM entitlements WHERE revoke_time IS NULL",
    "log": "SELECT position, event_id, ordering_key, order_version, type FROM event_log ORDER BY position",
}


def _fulfilled_once(seen: Evidence) -> Iterator[str]:
    kept, counts = set(seen.paid_orders) - set(seen.refunds_of), _counts(seen)
    for order_id in kept:
        for what in ("fulfillments", "entitlements", "FULFILLED events"):
            if counts[what][order_id] != 1:
                yield f"{order_id} is paid and has {counts[what][order_id]} {what}"
    for order_id, number in seen.sessions_of.items():
        if number > 1:
            yield f"{order_id} has {number} sessions"
    for order_id in set(counts["fulfillments"]) - kept:
        yield f"{order_id} is fulfilled and was not paid, or was paid back"


def _refunded_once(seen: Evidence) -> Iterator[str]:
    counts = _counts(seen)
    for order_id, refunds in seen.refunds_of.items():
        for what, number in {"entitlements": 0, "FULFILLED events": 1, "REVOKED events": 1}.items():
            if counts[what][order_id] != number:
                yield f"{order_id} is paid back and has {counts[what][order_id]} {what}"
        if refunds > 1:
            yield f"{order_id} has {refunds} refunds"


def _counts(seen: Evidence) -> dict[str, Counter[str]]:
    return {
        "fulfillments": Counter(row["order_id"] for row in seen.fulfillments if row["state"] == FULFILLED),
        "entitlements": Counter(seen.entitlements),
        "FULFILLED events": _told(seen, "TYPE_FULFILLED"),
        "REVOKED events": _told(seen, "TYPE_REVOKED"),
    }


def _told(seen: Evidence, kind: str) -> Counter[str]:
    """Count the different events of a type for each order."""
    return Counter(
        order_id for order_id, _ in {(e["order_id"], e["event_id"]) for e in seen.history if e["type"] == kind}
    )


def _sequenced(seen: Evidence) -> Iterator[str]:
    positions = [row["position"] for row in seen.log]
    if positions != list(range(1, len(positions) + 1)):
        yield f"the log has gaps: {len(positions)} entries up to {positions[-1]}"
    versions: dict[str, list[int]] = defaultdict(list)
    for row in seen.log:
        versions[row["ordering_key"]].append(row["order_version"])
    for order_id, numbers in versions.items():
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"{order_id} is out of order in the log: {numbers}"


def _delivered(seen: Evidence) -> Iterator[str]:
    first_time = list(dict.fromkeys(told["event_id"] for told in seen.history))
    if first_time != [row["event_id"] for row in seen.log][: len(first_time)]:
        yield "the subscriber was sent events in another order than the log's"
    for event_id in {row["event_id"] for row in seen.log} - _ids(seen.history):
        yield f"{event_id} was not delivered"


def _ids(history: list[Row]) -> set[str]:
    return {told["event_id"] for told in history}


async def _listed(http: aiohttp.ClientSession, url: str) -> list[Row]:
    """List all, a page at a time, as Stripe does."""
    found: list[Row] = []
    while True:
        query = {"limit": "100"} | ({"starting_after": found[-1]["id"]} if found else {})
        async with http.get(url, params=query) as reply:
            page = await reply.json()
        assert reply.status == 200, page
        found += page["data"]
        if not page["has_more"]:
            return found


async def _was_acknowledged(http: aiohttp.ClientSession, sandbox_url: str, event_id: str) -> bool:
    async with http.get(f"{sandbox_url}/_sandbox/deliveries", params={"event": event_id}) as reply:
        deliveries = (await reply.json())["data"]
    return any(200 <= (attempt["status"] or 0) < 300 for delivery in deliveries for attempt in delivery["attempts"])


async def unkept_acknowledgements(sandbox_url: str, database_url: str) -> list[str]:
    """Name the events that were answered 2xx and lost, though they have been found again at Stripe since."""
    suspects = await _found_only(database_url)
    async with aiohttp.ClientSession() as http:
        acknowledged = {each for each in suspects if await _was_acknowledged(http, sandbox_url, each)}
    # What Stripe delivered meanwhile is stored by now: an acknowledgement comes after its commit.
    unkept = acknowledged & await _found_only(database_url)
    return [f"{event_id} was acknowledged and is not stored but as found at Stripe" for event_id in sorted(unkept)]


async def _found_only(database_url: str) -> set[str]:
    """List the events that no webhook has brought."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch(
            "SELECT stripe_event_id FROM stripe_events WHERE source <> 'webhook' AND deliveries = 1"
        )
        return {row[0] for row in rows}
    finally:
        await connection.close()
