"""What a call fails with: a class by its reason, with everything that the service said and what to do."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from payments_client import (
    AlreadyExistsError,
    AsyncPaymentsClient,
    CursorExpiredError,
    FieldViolation,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    OrderNotFoundError,
    PaymentsError,
    SlowConsumerError,
    StripeOutcomeUnknownError,
    StripeRejectedError,
    UnavailableError,
)
from payments_client.error_reading import BY_REASON
from payments_client.pb.payments.v1 import payments_pb2 as pb

from payments_service import errors as service_errors
from payments_service.rpc.status_mapping import refusal_of

from .contract_server import Context, refuse, serving

NOT_SENT = {"LEASE_LOST"}
"""Reasons that stand in a message and end no call."""


async def get_order(request: pb.GetOrderRequest, context: Context) -> None:
    """Refuse with what the order's id says: STATUS, then REASON."""
    code, _, reason = request.order_id.partition(" ")
    metadata = {"order_id": "ord_1", "earliest_cursor": "AQI=", "cursor": "AQM="} if reason else None
    violations = {"user_id": "is required"} if reason == "INVALID_REQUEST" else None
    await refuse(context, grpc.StatusCode[code], reason, metadata=metadata, violations=violations)


@pytest.fixture
async def client() -> AsyncIterator[AsyncPaymentsClient]:
    async with serving({"GetOrder": get_order}) as address, AsyncPaymentsClient(address) as opened:
        yield opened


async def refused(client: AsyncPaymentsClient, said: str) -> PaymentsError:
    with pytest.raises(PaymentsError) as caught:
        await client.get_order(said)
    return caught.value


def service_errors_below(kind: type[service_errors.PaymentsError]) -> Iterator[type[service_errors.PaymentsError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from service_errors_below(below)


def is_told(kind: type[service_errors.PaymentsError]) -> bool:
    """Tell whether callers ever get it; some errors are the bridge's, the command line's or an operator's alone."""
    error = kind.__new__(kind)
    service_errors.PaymentsError.__init__(error, "said")
    return not isinstance(error, service_errors.InvalidRequestError) and refusal_of(error, "method") is not None


def test_every_reason_that_the_service_gives_is_a_class_of_its_own() -> None:
    told = {kind.reason for kind in service_errors_below(service_errors.PaymentsError) if is_told(kind)}

    assert len(told) > 20
    assert told - set(BY_REASON) == set()
    assert len(set(BY_REASON.values())) == len(BY_REASON)


def test_every_reason_of_the_runtime_contract_is_known() -> None:
    contract = Path(__file__).parents[3] / "shared" / "contract" / "runtime.md"
    if not contract.exists():
        pytest.skip("the owner's contract does not lie beside this clone")
    rows = [line for line in contract.read_text().split("## Errors")[1].splitlines() if line.startswith("| `")]
    reasons = {reason for row in rows for reason in re.findall(r"`([A-Z_]+)`", row.split("|")[1])}

    assert len(reasons) > 25
    assert reasons - set(BY_REASON) == NOT_SENT


async def test_an_error_has_all_that_the_service_said(client: AsyncPaymentsClient) -> None:
    error = await refused(client, "NOT_FOUND ORDER_NOT_FOUND")

    assert isinstance(error, OrderNotFoundError)
    assert (error.reason, error.code, error.message) == ("ORDER_NOT_FOUND", "NOT_FOUND", "It is so.")
    assert error.metadata["order_id"] == "ord_1"
    assert str(error) == f"ORDER_NOT_FOUND: It is so. {OrderNotFoundError.advice}"


async def test_violations_name_their_fields(client: AsyncPaymentsClient) -> None:
    error = await refused(client, "INVALID_ARGUMENT INVALID_REQUEST")

    assert isinstance(error, InvalidRequestError)
    assert error.violations == (FieldViolation("user_id", "is required"),)


async def test_cursors_in_errors_are_bytes(client: AsyncPaymentsClient) -> None:
    expired = await refused(client, "OUT_OF_RANGE CURSOR_EXPIRED")
    slow = await refused(client, "RESOURCE_EXHAUSTED SLOW_CONSUMER")

    assert isinstance(expired, CursorExpiredError)
    assert expired.earliest_cursor == b"\x01\x02"
    assert isinstance(slow, SlowConsumerError)
    assert slow.cursor == b"\x01\x03"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("NOT_FOUND BRAND_NEW", NotFoundError),
        ("ALREADY_EXISTS BRAND_NEW", AlreadyExistsError),
        ("INTERNAL", InternalError),
        ("DATA_LOSS BRAND_NEW", PaymentsError),
    ],
)
async def test_a_reason_of_a_newer_service_is_read_by_its_status(
    client: AsyncPaymentsClient, said: str, kind: type[PaymentsError]
) -> None:
    assert type(await refused(client, said)) is kind


def test_whether_to_try_again_is_said_by_the_class() -> None:
    assert StripeOutcomeUnknownError.retryable
    assert UnavailableError.retryable
    assert not StripeRejectedError.retryable
    assert all(kind.advice for kind in BY_REASON.values())
