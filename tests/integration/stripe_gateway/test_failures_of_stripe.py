"""Whatever goes wrong between us and Stripe has one meaning; that nothing happened is only said where it is proved."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from payments_service.errors import (
    StripeError,
    StripeMisconfiguredError,
    StripeOutcomeUnknownError,
    StripeRateLimitedError,
    StripeRejectedError,
    StripeUnavailableError,
)
from payments_service.stripe_gateway.client import StripeGateway, StripeKey, open_gateway
from stripe_sandbox.configuration import SandboxConfig
from stripe_sandbox.sandbox_server import Sandbox, open_sandbox

from .scripted_server import open_scripted_server, reply

KEY = "sk_test_123456789"
PRODUCT = {"currency": "usd", "unit_amount": 4900, "product_data": {"name": "Course"}}
PARAMETERS: dict[str, Any] = {
    "mode": "payment",
    "line_items": [{"price_data": PRODUCT, "quantity": 1}],
    "success_url": "https://shop.example/thanks",
    "client_reference_id": "ord_1",
}
ENVELOPE = '{"error": {"type": "%s", "message": "No.", "code": "some_code"}}'


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(SandboxConfig(port=0, database=tmp_path / "sandbox.db")) as opened:
        yield opened


@pytest.fixture
async def gateway(sandbox: Sandbox) -> AsyncIterator[StripeGateway]:
    async with open_gateway(StripeKey(KEY, sandbox.url)) as opened:
        yield opened


async def create(gateway: StripeGateway, budget: float = 10.0, key: str = "k", **changes: object) -> dict[str, Any]:
    return await gateway.create_session(PARAMETERS | changes, idempotency_key=key, account="", budget=budget)


async def put_fault(sandbox: Sandbox, **fault: object) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.put(f"{sandbox.url}/_sandbox/faults", json={"api": fault}) as answer,
    ):
        assert answer.status == 200


async def failure_at(url: str, budget: float = 10.0) -> StripeError:
    async with open_gateway(StripeKey(KEY, url)) as gateway:
        with pytest.raises(StripeError) as failed:
            await create(gateway, budget)
    return failed.value


async def failure_of(*replies: bytes, closes_after: int = 1_000) -> StripeError:
    async with open_scripted_server(*replies, closes_after=closes_after) as server:
        return await failure_at(server.url)


async def test_a_rate_limit_did_nothing(sandbox: Sandbox, gateway: StripeGateway) -> None:
    await put_fault(sandbox, status=429)

    with pytest.raises(StripeRateLimitedError):
        await create(gateway)
    with pytest.raises(StripeRateLimitedError):
        await gateway.retrieve_session("cs_1", account="", budget=5.0)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_server_error_leaves_a_write_unknown_and_a_read_undone(
    sandbox: Sandbox, gateway: StripeGateway, when: str
) -> None:
    await put_fault(sandbox, status=500, when=when)

    with pytest.raises(StripeOutcomeUnknownError):
        await create(gateway)
    with pytest.raises(StripeUnavailableError):
        await gateway.find_session("ord_1", since=now(), until=now(), account="", budget=5.0)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_silence_leaves_a_write_unknown_and_a_read_undone(
    sandbox: Sandbox, gateway: StripeGateway, when: str
) -> None:
    await put_fault(sandbox, latency_seconds=1.0, when=when)

    with pytest.raises(StripeOutcomeUnknownError):
        await create(gateway, budget=0.3)
    with pytest.raises(StripeUnavailableError):
        await gateway.find_session("ord_1", since=now(), until=now(), account="", budget=0.3)


async def test_a_search_keeps_to_its_deadline_over_all_its_pages(sandbox: Sandbox, gateway: StripeGateway) -> None:
    await put_fault(sandbox, latency_seconds=1.0, when="before")

    with pytest.raises(StripeUnavailableError):
        await gateway.find_session("ord_1", since=now(), until=now(), account="", budget=0.3)


async def test_a_key_that_is_at_work_elsewhere_is_unknown(sandbox: Sandbox, gateway: StripeGateway) -> None:
    await put_fault(sandbox, latency_seconds=4.0, when="after")
    with pytest.raises(StripeOutcomeUnknownError):
        await create(gateway, budget=0.3)

    with pytest.raises(StripeOutcomeUnknownError):
        await create(gateway, budget=2.8)


async def test_a_refusal_tells_what_and_why(gateway: StripeGateway) -> None:
    with pytest.raises(StripeRejectedError, match="No such customer") as refused:
        await create(gateway, customer="cus_unknown")

    metadata = dict(refused.value.metadata)
    assert metadata.pop("stripe_request_id").startswith("req_")
    assert metadata == {"stripe_code": "resource_missing", "stripe_param": "customer"}


async def test_a_key_used_with_other_parameters_is_no_refusal_for_something_did_happen(gateway: StripeGateway) -> None:
    await create(gateway)

    with pytest.raises(StripeOutcomeUnknownError):
        await create(gateway, client_reference_id="ord_2")


async def test_a_wrong_api_key_is_the_operators_matter_and_is_not_repeated(sandbox: Sandbox) -> None:
    async with open_gateway(StripeKey("pk_test_1234", sandbox.url)) as gateway:
        with pytest.raises(StripeMisconfiguredError) as refused:
            await create(gateway)

    assert "pk_test" not in str(refused.value)


async def test_a_closed_port_did_nothing(unused_port: int) -> None:
    assert type(await failure_at(f"http://127.0.0.1:{unused_port}")) is StripeUnavailableError


async def test_a_host_that_takes_no_connection_in_time_did_nothing() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        failure = await failure_at(f"http://127.0.0.1:{listener.getsockname()[1]}", budget=0.5)
        for one in waiting:
            one.close()

    assert type(failure) is StripeUnavailableError


UNREADABLE = {
    "no reply": b"",
    "a reply that breaks off": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
    "half a head": b"HTTP/1.1 200 OK\r\n",
    "no JSON": reply("200 OK", "<p>Welcome</p>"),
    "no JSON object": reply("200 OK", "[]"),
    "a gateway's error": reply("502 Bad Gateway", "<p>nginx</p>", "text/html"),
}


async def test_an_answer_that_cannot_be_read_leaves_the_outcome_unknown() -> None:
    failures = await asyncio.gather(*(failure_of(answer) for answer in UNREADABLE.values()))

    assert dict(zip(UNREADABLE, map(type, failures), strict=True)) == dict.fromkeys(
        UNREADABLE, StripeOutcomeUnknownError
    )


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "407 Proxy Authentication Required"])
async def test_what_stands_between_us_and_stripe_does_not_refuse_for_stripe(status: str) -> None:
    assert type(await failure_of(reply(status, "<p>proxy</p>", "text/html"))) is StripeUnavailableError


MEANINGS = {
    ("400 Bad Request", "invalid_request_error"): StripeRejectedError,
    ("400 Bad Request", "idempotency_error"): StripeOutcomeUnknownError,
    ("401 Unauthorized", "invalid_request_error"): StripeMisconfiguredError,
    ("402 Payment Required", "card_error"): StripeRejectedError,
    ("403 Forbidden", "invalid_request_error"): StripeMisconfiguredError,
    ("404 Not Found", "invalid_request_error"): StripeRejectedError,
    ("409 Conflict", "idempotency_error"): StripeOutcomeUnknownError,
    ("413 Payload Too Large", "invalid_request_error"): StripeRejectedError,
    ("425 Too Early", "api_error"): StripeUnavailableError,
    ("429 Too Many Requests", "api_error"): StripeRateLimitedError,
    ("503 Service Unavailable", "api_error"): StripeOutcomeUnknownError,
}


async def test_each_of_stripes_statuses_has_one_meaning() -> None:
    failures = await asyncio.gather(*(failure_of(reply(status, ENVELOPE % kind)) for status, kind in MEANINGS))

    assert dict(zip(MEANINGS, map(type, failures), strict=True)) == MEANINGS


async def test_a_try_that_may_have_arrived_is_not_undone_by_a_closed_port_after_it() -> None:
    assert type(await failure_of(b"", closes_after=1)) is StripeOutcomeUnknownError


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        ("429 Too Many Requests", "api_error", StripeOutcomeUnknownError),
        ("401 Unauthorized", "invalid_request_error", StripeOutcomeUnknownError),
        ("400 Bad Request", "invalid_request_error", StripeRejectedError),
    ],
)
async def test_after_a_lost_answer_only_a_word_on_the_request_itself_is_proof(
    status: str, kind: str, expected: type[StripeError]
) -> None:
    assert type(await failure_of(b"", reply(status, ENVELOPE % kind))) is expected


async def test_a_lost_answer_is_asked_for_again_under_the_same_key() -> None:
    async with (
        open_scripted_server(b"", reply("200 OK", '{"id": "cs_1"}')) as server,
        open_gateway(StripeKey(KEY, server.url)) as gateway,
    ):
        session = await create(gateway, key="ord_1-0")

    assert session == {"id": "cs_1"}
    assert len(server.heard) == 2
    assert all("idempotency-key: ord_1-0" in request.lower() for request in server.heard)


async def test_a_connected_account_is_named_in_each_call() -> None:
    async with (
        open_scripted_server(reply("200 OK", '{"id": "cs_1", "data": [], "has_more": false}')) as server,
        open_gateway(StripeKey(KEY, server.url)) as gateway,
    ):
        where: dict[str, Any] = {"account": "acct_1", "budget": 5.0}
        await gateway.create_session(PARAMETERS, idempotency_key="k", **where)
        await gateway.retrieve_session("cs_1", **where)
        await gateway.expire_session("cs_1", idempotency_key="e", **where)
        await gateway.find_session("ord_1", since=now(), until=now(), **where)

    assert len(server.heard) == 4
    assert all("stripe-account: acct_1" in request.lower() for request in server.heard)
    assert all("stripe_account" not in request for request in server.heard)


async def test_a_session_is_found_among_more_than_one_page(gateway: StripeGateway) -> None:
    began = now()
    oldest = await create(gateway, key="oldest", client_reference_id="ord_oldest")
    await asyncio.gather(*(create(gateway, key=f"k{n}", client_reference_id=f"ord_{n}") for n in range(100)))

    async def find(order_id: str, since: datetime) -> dict[str, Any] | None:
        return await gateway.find_session(order_id, since=since, until=now(), account="", budget=10.0)

    assert await find("ord_oldest", began) == oldest
    assert await find("ord_unknown", began) is None
    assert await find("ord_oldest", now() + timedelta(minutes=1)) is None


async def test_a_session_is_closed_once_and_then_refused(gateway: StripeGateway) -> None:
    session = await create(gateway)

    async def expire(key: str) -> dict[str, Any]:
        return await gateway.expire_session(session["id"], idempotency_key=key, account="", budget=5.0)

    assert (await expire("first"))["status"] == "expired"
    with pytest.raises(StripeRejectedError, match="open"):
        await expire("second")


def test_a_key_is_not_shown_and_tells_its_mode() -> None:
    assert "sk_test" not in repr(StripeKey(KEY))
    assert not StripeKey(KEY).livemode
    assert StripeKey("rk_live_1").livemode


async def test_stripe_itself_is_trusted_by_the_sdks_certificates() -> None:
    async with open_gateway(StripeKey(KEY)) as gateway:
        assert not gateway.livemode


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def now() -> datetime:
    return datetime.now(UTC)
