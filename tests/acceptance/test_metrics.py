"""What happens is seen at /metrics: sales, refused webhooks, failed events, and a database that is away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from database_servers.postgres_server import PostgresServer, running_postgres

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, StartPosition
from payments_service.contract.pb.payments.v1.operations_pb2 import CreateSubscriberRequest
from payments_service.contract.pb.payments.v1.subscriber_pb2 import Subscriber

from .scrape import Scrape, scrape, scrape_until
from .shop import Shop, open_shop, settings_in

Type = FulfillmentEvent
FREE = "127.0.0.1:0"


@pytest.fixture
async def watched_shop(tmp_path: Path, database_url: str) -> AsyncIterator[Shop]:
    async with open_shop(settings_in(tmp_path, database_url=database_url, metrics_address=FREE)) as opened:
        yield opened


async def sell(shop: Shop) -> None:
    async with shop.subscribed() as subscription:
        order = await shop.checkout()
        await shop.buyer(order)
        await subscription.of(order, Type.TYPE_FULFILLED)


async def post_webhook(shop: Shop, signature: str) -> int:
    headers = {"stripe-signature": signature}
    async with shop.http.post(f"{shop.running.bridge_url}/webhooks/stripe", data=b"{}", headers=headers) as answer:
        return answer.status


async def test_a_sale_moves_the_counters_of_every_stage(watched_shop: Shop) -> None:
    url = watched_shop.running.metrics_url
    before = await scrape(url)
    await sell(watched_shop)

    def moved(after: Scrape, name: str, **labels: str) -> float:
        return after.sum(name, **labels) - before.sum(name, **labels)

    def is_all_done(after: Scrape) -> bool:
        return moved(after, "payments_events_settled_total") >= 3

    after = await scrape_until(url, is_all_done)

    create = {"grpc_method": "CreateCheckout", "grpc_service": "payments.v1.Payments", "grpc_type": "unary"}
    paid = {"event_type": "checkout.session.completed", "verdict": "APPLIED"}
    assert moved(after, "grpc_server_started_total", **create) == 1
    assert moved(after, "grpc_server_handled_total", **create, grpc_code="OK") == 1
    assert moved(after, "grpc_server_handling_seconds_count", **create) == 1
    assert moved(after, "payments_webhook_requests_total", code="200") >= 3
    assert moved(after, "payments_webhook_batch_events_sum") >= 3
    assert moved(after, "payments_events_settled_total", **paid) == 1
    assert moved(after, "payments_event_age_at_apply_seconds_count") == 1
    assert moved(after, "payments_fulfillment_outcomes_total", purchase_type="course", outcome="FULFILLED") == 1
    assert moved(after, "payments_log_sequenced_events_total") == after.sum("payments_log_head_read")
    assert moved(after, "payments_stream_events_sent_total", kind="stream") == after.sum("payments_log_head_read")
    assert moved(after, "payments_stripe_calls_total", operation="create_session", outcome="ok") == 1
    assert moved(after, "payments_broker_messages_total", outcome="sent") >= 4


async def test_what_waits_and_who_reads_is_read_at_a_scrape(watched_shop: Shop) -> None:
    url = watched_shop.running.metrics_url
    subscriber = CreateSubscriberRequest(
        subscriber=Subscriber(subscriber="course-service"), start=StartPosition(earliest=True)
    )
    await watched_shop.operations.CreateSubscriber(subscriber)
    await sell(watched_shop)

    async with watched_shop.subscribed() as subscription:
        await subscription.until(lambda events: len(events) >= 3)
        seen = await scrape_until(url, lambda scraped: scraped.sum("payments_log_head") >= 3)

    assert seen.sum("payments_database_reading_success") == 1
    assert seen.sum("payments_inbox_events") == 0
    assert seen.sum("payments_outbox_events") == 0
    assert seen.all("payments_duty_lease_held", duty="sweep_stripe_events") == [1]
    assert seen.all("payments_duty_held", duty="sweep_stripe_events") == [1]
    assert seen.sum("payments_streams_open", kind="stream") == 1
    assert seen.names_of("payments_stream_lag_events", "caller") == {"anonymous"}
    assert seen.sum("payments_subscriber_lag_events", subscriber="course-service") >= 3
    assert seen.sum("payments_subscriber_members", subscriber="course-service") == 0
    assert seen.names_of("payments_build_info", "roles") == {"bridge,grpc,sandbox,worker"}


async def test_a_webhook_with_a_wrong_signature_is_counted_by_its_answer(watched_shop: Shop) -> None:
    url = watched_shop.running.metrics_url
    before = await scrape(url)

    assert await post_webhook(watched_shop, "t=1,v1=wrong") == 400

    after = await scrape(url)
    name = "payments_webhook_requests_total"
    assert after.sum(name, code="400") - before.sum(name, code="400") == 1
    assert after.sum(name, code="200") == before.sum(name, code="200")


async def test_an_event_that_failed_for_good_is_seen_until_somebody_mends_it(watched_shop: Shop) -> None:
    url = watched_shop.running.metrics_url
    order = await watched_shop.checkout()
    foreign = {
        "id": order.checkout_session_id,
        "object": "checkout.session",
        "payment_status": "paid",
        "metadata": {"order_id": order.order_id, "organization_id": "org_of_somebody_else"},
    }

    await watched_shop.sandbox("POST", "events", {"type": "checkout.session.completed", "object": foreign})

    seen = await scrape_until(url, lambda scraped: scraped.sum("payments_inbox_events", state="FAILED") == 1)
    assert seen.sum("payments_inbox_events", state="PENDING") == 0


async def test_without_its_database_a_process_still_answers_and_says_that_it_is_away(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with running_postgres(postgres.programs) as mortal:
        async with (
            mortal.new_database() as url,
            open_shop(settings_in(tmp_path, database_url=url, metrics_address=FREE)) as shop,
        ):
            metrics_url = shop.running.metrics_url
            before = await scrape(metrics_url)
            await asyncio.to_thread(mortal.stop, "immediate")
            away = await scrape_until(metrics_url, lambda seen: not seen.sum("payments_database_reading_success"))
            webhook = await post_webhook(shop, "t=1,v1=wrong")
            counted = await scrape(metrics_url)
            await asyncio.to_thread(mortal.start)
            back = await scrape_until(metrics_url, lambda seen: seen.sum("payments_database_reading_success"))

    assert before.all("payments_inbox_events", state="PENDING") == [0]
    assert away.all("payments_inbox_events") == []
    assert webhook == 400
    assert counted.sum("payments_webhook_requests_total") == before.sum("payments_webhook_requests_total") + 1
    assert counted.sum("payments_database_failures_total") > before.sum("payments_database_failures_total")
    assert back.all("payments_inbox_events", state="PENDING") == [0]
