"""Webhooks share commits, and nothing else: not each other's faults, not each other's disconnects."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from payments_service.errors import StorageUnavailableError
from payments_service.inbox.receiver import BATCH_EVENTS, Receipt, Receiver, open_receiver

from .bridge_driver import WAIT_SECONDS, Driver, Inbox, now, raw_request, signed, stripe_event


def payload_of(stripe_event_id: str, **changes: object) -> bytes:
    return json.dumps(stripe_event(id=stripe_event_id, **changes)).encode()


async def receive_all(receiver: Receiver, payloads: list[bytes]) -> list[Receipt | BaseException]:
    return await asyncio.gather(*(receiver.receive(payload) for payload in payloads), return_exceptions=True)


async def test_two_hundred_webhooks_at_once_are_a_few_commits(driver: Driver) -> None:
    events = [stripe_event() for _ in range(200)]
    before = driver.inbox.commits

    answers = await asyncio.gather(*(driver.deliver(event) for event in events))

    assert {status for status, _ in answers} == {200}
    assert await driver.inbox.ids() == {event["id"] for event in events}
    assert driver.inbox.commits - before < 40


async def test_copies_of_one_event_at_once_are_one_row_and_each_is_counted(driver: Driver) -> None:
    event = stripe_event()

    answers = await asyncio.gather(*(driver.deliver(event) for _ in range(30)))

    assert {status for status, _ in answers} == {200}
    assert (await driver.inbox.row(event["id"])).deliveries == 30


async def test_an_event_that_the_database_refuses_fails_alone(driver: Driver) -> None:
    events = [stripe_event() for _ in range(50)]
    refused = events[23]["id"]
    await driver.inbox.refuse(refused)

    with capture_logs() as lines:
        answers = await asyncio.gather(*(driver.deliver(event) for event in events))

    assert [status for status, _ in answers] == [503 if event["id"] == refused else 200 for event in events]
    assert await driver.inbox.ids() == {event["id"] for event in events} - {refused}
    assert [line["stripe_event_id"] for line in lines if line["event"] == "inbox.event_refused"] == [refused]


async def test_clients_that_disconnect_take_nobodys_answer_along(driver: Driver) -> None:
    staying = [stripe_event() for _ in range(20)]
    for _ in range(20):
        payload = json.dumps(stripe_event()).encode()
        _, writer = await driver.connect()
        writer.write(raw_request(payload, f"Stripe-Signature: {signed(payload)}", f"Content-Length: {len(payload)}"))
        await writer.drain()
        writer.transport.abort()

    answers = await asyncio.gather(*(driver.deliver(event) for event in staying))

    assert {status for status, _ in answers} == {200}
    assert {event["id"] for event in staying} <= await driver.inbox.ids()


async def test_a_cancelled_call_cancels_no_commit(inbox: Inbox) -> None:
    async with open_receiver(inbox.database, now) as receiver:
        payloads = [payload_of(f"evt_{number}") for number in range(10)]
        calls = [asyncio.create_task(receiver.receive(payload)) for payload in payloads]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, Receipt] * 5
        assert await inbox.ids() == {f"evt_{number}" for number in range(10)}


async def test_more_than_a_batch_is_stored_in_several(inbox: Inbox) -> None:
    async with open_receiver(inbox.database, now) as receiver:
        before = inbox.commits
        receipts = await receive_all(receiver, [payload_of(f"evt_{n}") for n in range(2 * BATCH_EVENTS + 1)])

    assert all(isinstance(receipt, Receipt) and receipt.pending for receipt in receipts)
    assert inbox.commits - before == 3


async def test_large_events_do_not_share_a_batch_beyond_its_bytes(inbox: Inbox) -> None:
    async with open_receiver(inbox.database, now) as receiver:
        before = inbox.commits
        receipts = await receive_all(receiver, [payload_of(f"evt_{n}", padding="x" * 900_000) for n in range(9)])

    assert all(isinstance(receipt, Receipt) for receipt in receipts)
    assert inbox.commits - before == 3


async def test_when_the_database_is_away_all_are_told_soon_and_the_next_ones_are_stored(inbox: Inbox) -> None:
    patience = 0.3
    async with open_receiver(inbox.database, now, patience) as receiver:
        with inbox.away():
            async with asyncio.timeout(patience + 2):
                outcomes = await receive_all(receiver, [payload_of(f"evt_{n}") for n in range(300)])
        assert {type(outcome) for outcome in outcomes} == {StorageUnavailableError}

        async with asyncio.timeout(WAIT_SECONDS):
            while not isinstance((await receive_all(receiver, [payload_of("evt_later")]))[0], Receipt):
                pass
        assert await inbox.ids() == {"evt_later"}


async def test_what_waits_is_stored_before_the_receiver_closes(inbox: Inbox) -> None:
    async with open_receiver(inbox.database, now) as receiver:
        calls = [asyncio.create_task(receiver.receive(payload_of(f"evt_{n}"))) for n in range(300)]
        await asyncio.sleep(0)

    assert {(await call).stripe_event_id for call in calls} == await inbox.ids()
    with pytest.raises(StorageUnavailableError, match="about to stop"):
        await receiver.receive(payload_of("evt_late"))
