"""What Stripe is answered: 200 for what is committed, a clear 4xx for what is no event of Stripe's, and then no row."""

import asyncio
import json
import threading
import urllib.request
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from payments_service.orders.states import StripeEventState

from .bridge_driver import SECRETS, WAIT_SECONDS, Driver, Inbox, NotedWaker, open_driver, raw_request, signed
from .bridge_driver import stripe_event as an_event

CAP = 1024 * 1024


async def assert_refused(driver: Driver, payload: bytes, signature: str, message: str) -> None:
    status, body = await driver.post(payload, Stripe_Signature=signature)
    assert (status, message in body["message"]) == (400, True), body
    assert await driver.inbox.ids() == set()
    assert driver.waker.events == []


async def test_an_event_is_stored_byte_for_byte_then_answered_and_woken(driver: Driver) -> None:
    body = an_event(account="acct_1")
    payload = json.dumps(body, indent=2).encode()

    status, answer = await driver.post(payload, Stripe_Signature=signed(payload))

    row = await driver.inbox.row(body["id"])
    assert (status, answer) == (200, {"received": True})
    assert (row.payload, row.type, row.state) == (payload, body["type"], StripeEventState.PENDING)
    assert (row.stripe_account, row.livemode, row.source, row.deliveries) == ("acct_1", False, "webhook", 1)
    assert (row.object_id, row.payment_intent_id) == (
        body["data"]["object"]["id"],
        body["data"]["object"]["payment_intent"],
    )
    assert row.next_attempt_time is not None
    assert driver.waker.events == [body["id"]]


@pytest.mark.parametrize("secret", SECRETS)
async def test_any_of_several_secrets_proves_stripe(driver: Driver, secret: str) -> None:
    payload = json.dumps(an_event()).encode()

    assert (await driver.post(payload, Stripe_Signature=signed(payload, secret)))[0] == 200


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("", "missing or malformed"),
        ("nonsense", "missing or malformed"),
        ("t=1,v0=abc", "missing or malformed"),
        ("t=1,v1=abc", "clock"),
        ("t=1,v1=\N{LATIN SMALL LETTER A WITH DIAERESIS}", "not ASCII"),
    ],
)
async def test_what_carries_no_signature_is_refused_and_leaves_no_row(
    driver: Driver, signature: str, message: str
) -> None:
    await assert_refused(driver, json.dumps(an_event()).encode(), signature, message)


async def test_a_missing_signature_header_is_refused_and_leaves_no_row(driver: Driver) -> None:
    status, body = await driver.post(json.dumps(an_event()).encode())

    assert (status, await driver.inbox.ids()) == (400, set())
    assert "Stripe-Signature" in body["message"]


@pytest.mark.parametrize("age", [-600, 600])
async def test_a_signature_of_another_time_is_refused_and_leaves_no_row(driver: Driver, age: int) -> None:
    payload = json.dumps(an_event()).encode()

    await assert_refused(driver, payload, signed(payload, age=age), "clock")


async def test_a_signature_by_another_secret_or_of_another_body_is_refused(driver: Driver) -> None:
    payload = json.dumps(an_event()).encode()

    await assert_refused(driver, payload, signed(payload, "whsec_theirs"), "PAYMENTS_STRIPE_WEBHOOK_SECRETS")
    await assert_refused(driver, payload, signed(b"{}"), "PAYMENTS_STRIPE_WEBHOOK_SECRETS")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"hello",
        b"[]",
        b"null",
        b"NaN",
        b"[" * 200_000,
        json.dumps({"id": "evt_1"}).encode(),
        json.dumps(an_event(object="v2.core.event")).encode(),
        json.dumps(an_event(id="e" * 300)).encode(),
        json.dumps(an_event(id="evt_\ud800")).encode(),
        json.dumps(an_event(created=10**18)).encode(),
    ],
    ids=["empty", "text", "list", "null", "nan", "deep", "no object", "thin", "long id", "surrogate", "far future"],
)
async def test_a_signed_body_that_is_no_event_is_refused_and_leaves_no_row(driver: Driver, payload: bytes) -> None:
    await assert_refused(driver, payload, signed(payload), "")


async def test_a_body_at_the_cap_is_stored_and_one_byte_more_is_not(driver: Driver) -> None:
    bare = len(json.dumps(an_event(id="evt_full", padding="")))
    full = json.dumps(an_event(id="evt_full", padding="x" * (CAP - bare))).encode()
    over = full + b" "

    assert (await driver.post(full, Stripe_Signature=signed(full)))[0] == 200
    status, body = await driver.post(over, Stripe_Signature=signed(over))

    assert (status, str(CAP) in body["message"]) == (413, True)


async def test_a_body_without_a_length_is_capped_as_it_comes(driver: Driver) -> None:
    reader, writer = await driver.connect()
    writer.write(raw_request(b"", "Transfer-Encoding: chunked", "Stripe-Signature: t=1,v1=a"))
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for _ in range(CAP // 0x10000 + 1):
        writer.write(chunk)
    async with asyncio.timeout(WAIT_SECONDS):
        assert b" 413 " in await reader.readline()
    writer.close()


async def test_a_chunked_event_is_stored(driver: Driver) -> None:
    body = an_event()
    payload = json.dumps(body).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (payload[:7], payload[7:])) + b"0\r\n\r\n"

    answer = await driver.exchange(
        raw_request(chunks, "Transfer-Encoding: chunked", f"Stripe-Signature: {signed(payload)}")
    )

    assert b" 200 " in answer.splitlines()[0]
    assert await driver.inbox.ids() == {body["id"]}


async def test_an_announced_length_over_the_cap_is_refused_before_a_byte_of_it_comes(driver: Driver) -> None:
    answer = await driver.exchange(raw_request(b"", f"Content-Length: {CAP + 1}", "Expect: 100-continue"))

    assert b" 413 " in answer.splitlines()[0]


@pytest.mark.parametrize("announced", ["4", "-1", "1e3", "4\r\nContent-Length: 5", "4\r\nTransfer-Encoding: chunked"])
async def test_a_length_that_lies_is_refused_and_leaves_no_row(driver: Driver, announced: str) -> None:
    payload = json.dumps(an_event()).encode()

    answer = await driver.exchange(
        raw_request(payload, f"Content-Length: {announced}", f"Stripe-Signature: {signed(payload)}")
    )

    assert b" 400 " in answer.splitlines()[0]
    assert await driver.inbox.ids() == set()


async def test_other_methods_and_paths_are_refused(driver: Driver) -> None:
    async with driver.http.get(driver.url) as reply:
        assert (reply.status, reply.headers["Allow"]) == (405, "POST")
    async with driver.http.post(f"{driver.bridge.url}/webhooks") as reply:
        assert reply.status == 404
    async with driver.http.post(f"{driver.bridge.url}/healthz") as reply:
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")


async def test_a_duplicate_is_counted_and_woken_while_it_waits_and_not_once_it_is_settled(driver: Driver) -> None:
    body = an_event()
    for state in (
        StripeEventState.PENDING,
        StripeEventState.DEFERRED,
        StripeEventState.APPLIED,
        StripeEventState.FAILED,
    ):
        assert (await driver.deliver(body))[0] == 200
        await driver.inbox.settle(body["id"], state)

    assert (await driver.deliver(body))[0] == 200

    assert (await driver.inbox.row(body["id"])).deliveries == 5
    assert driver.waker.events == [body["id"]] * 3


async def test_where_the_database_is_away_stripe_is_told_to_come_again_and_later_it_works(inbox: Inbox) -> None:
    body, payload = an_event(), json.dumps(an_event()).encode()
    async with open_driver(inbox, NotedWaker(), patience=0.2) as driver:
        with inbox.away():
            async with driver.http.post(
                driver.url, data=payload, headers={"Stripe-Signature": signed(payload)}
            ) as reply:
                answer = await reply.json()
                assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
        assert "send it again" in answer["message"]
        assert await inbox.ids() == set()
        while (await driver.deliver(body))[0] == 503:
            pass

        assert await inbox.ids() == {body["id"]}


@dataclass
class BlockingWaker(NotedWaker):
    """Waits, on the event loop itself, until the answer has arrived."""

    answered: threading.Event = field(default_factory=threading.Event)
    came_after_the_answer: bool = False

    def wake_event(self, stripe_event_id: str) -> None:
        """Wait."""
        self.came_after_the_answer = self.answered.wait(WAIT_SECONDS)


async def test_a_waker_that_blocks_does_not_hold_up_the_answer(inbox: Inbox) -> None:
    waker = BlockingWaker()
    payload = json.dumps(an_event()).encode()

    def deliver(url: str) -> int:
        request = urllib.request.Request(url, payload, {"Stripe-Signature": signed(payload)})  # noqa: S310
        with urllib.request.urlopen(request) as reply:  # noqa: S310
            waker.answered.set()
            return int(reply.status)

    async with open_driver(inbox, waker) as driver:
        assert await asyncio.to_thread(deliver, driver.url) == 200

    assert waker.came_after_the_answer


class RaisingWaker(NotedWaker):
    """Breaks its promise."""

    def wake_event(self, stripe_event_id: str) -> None:
        """Raise."""
        raise RuntimeError("no broker")


async def test_a_waker_that_raises_changes_no_answer(inbox: Inbox) -> None:
    with capture_logs() as lines:
        async with open_driver(inbox, RaisingWaker()) as driver:
            assert (await driver.deliver(an_event()))[0] == 200
            assert (await driver.deliver(an_event()))[0] == 200

    assert [line["event"] for line in lines].count("webhook.waking_failed") == 2


async def test_each_webhook_is_one_line_of_the_log_without_its_body(driver: Driver) -> None:
    body = an_event(secret_of_a_buyer="jane@example.com")
    with capture_logs() as lines:
        await driver.deliver(body)
        await driver.post(b"{}", Stripe_Signature="t=1,v1=abc")

    stored, refused = (line for line in lines if line["event"].startswith("webhook."))
    assert (stored["stripe_event_id"], stored["type"], stored["answer"]) == (body["id"], body["type"], 200)
    assert (refused["answer"], "clock" in refused["reason"]) == (400, True)
    assert all(line["milliseconds"] >= 0 for line in (stored, refused))
    assert "jane" not in str(lines)
