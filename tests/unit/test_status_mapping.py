"""Each error has the status, the reason and the details that the runtime contract names."""

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]

from payments_service import errors
from payments_service.errors import FieldViolation, InvalidRequestError, PaymentsError
from payments_service.rpc.status_mapping import Refusal, internal_refusal, refusal_of

METHOD = "payments.v1.Payments/GetOrder"
CONTRACT: list[tuple[PaymentsError, str, str, bool]] = [
    (InvalidRequestError([FieldViolation("user_id", "is required")]), "INVALID_REQUEST", "INVALID_ARGUMENT", False),
    (errors.UnauthenticatedError("x"), "UNAUTHENTICATED", "UNAUTHENTICATED", False),
    (errors.CallerNotAllowedError("x", missing="y"), "CALLER_NOT_ALLOWED", "PERMISSION_DENIED", False),
    (errors.OrderNotFoundError("x"), "ORDER_NOT_FOUND", "NOT_FOUND", False),
    (errors.FulfillmentNotFoundError("x"), "FULFILLMENT_NOT_FOUND", "NOT_FOUND", False),
    (errors.StripeEventNotFoundError("x"), "STRIPE_EVENT_NOT_FOUND", "NOT_FOUND", False),
    (errors.SubscriberNotFoundError("x"), "SUBSCRIBER_NOT_FOUND", "NOT_FOUND", False),
    (errors.RequestIdReusedError("x"), "REQUEST_ID_REUSED", "ALREADY_EXISTS", False),
    (errors.CheckoutNotOpenError("x"), "CHECKOUT_NOT_OPEN", "FAILED_PRECONDITION", False),
    (errors.FulfillmentNotAwaitedError("x"), "FULFILLMENT_NOT_AWAITED", "FAILED_PRECONDITION", False),
    (errors.GenerationMismatchError("x"), "GENERATION_MISMATCH", "FAILED_PRECONDITION", False),
    (errors.NothingToRefundError("x"), "NOTHING_TO_REFUND", "FAILED_PRECONDITION", False),
    (errors.RefundExceedsPaymentError("x"), "REFUND_EXCEEDS_PAYMENT", "FAILED_PRECONDITION", False),
    (errors.NotASubscriptionError("x"), "NOT_A_SUBSCRIPTION", "FAILED_PRECONDITION", False),
    (errors.StripeRejectedError("x"), "STRIPE_REJECTED", "FAILED_PRECONDITION", False),
    (errors.StripeRateLimitedError("x"), "STRIPE_RATE_LIMITED", "RESOURCE_EXHAUSTED", True),
    (errors.StripeUnavailableError("x"), "STRIPE_UNAVAILABLE", "UNAVAILABLE", True),
    (errors.StripeOutcomeUnknownError("x"), "STRIPE_OUTCOME_UNKNOWN", "UNAVAILABLE", True),
    (errors.StripeMisconfiguredError("x"), "STRIPE_MISCONFIGURED", "INTERNAL", False),
    (errors.StorageUnavailableError("x"), "STORAGE_UNAVAILABLE", "UNAVAILABLE", True),
    (errors.CursorInvalidError("x"), "CURSOR_INVALID", "INVALID_ARGUMENT", False),
    (errors.StartRequiredError("x"), "START_REQUIRED", "INVALID_ARGUMENT", False),
    (errors.CursorExpiredError("x"), "CURSOR_EXPIRED", "OUT_OF_RANGE", False),
    (errors.CursorDivergedError("x"), "CURSOR_DIVERGED", "FAILED_PRECONDITION", False),
    (errors.CursorAheadError("x"), "CURSOR_AHEAD", "FAILED_PRECONDITION", False),
    (errors.SlowConsumerError("x"), "SLOW_CONSUMER", "RESOURCE_EXHAUSTED", False),
    (errors.DrainingError("x"), "DRAINING", "UNAVAILABLE", False),
    (errors.MemberReplacedError("x"), "MEMBER_REPLACED", "FAILED_PRECONDITION", False),
    (errors.SubscriberExistsError("x"), "SUBSCRIBER_EXISTS", "ALREADY_EXISTS", False),
]


def details_of(refusal: Refusal) -> tuple[ErrorInfo, BadRequest, RetryInfo | None]:
    info, violations, retry = ErrorInfo(), BadRequest(), RetryInfo()
    kinds = (info, violations, retry)
    found = [message for message in kinds for detail in refusal.status.details if detail.Unpack(message)]
    return info, violations, retry if retry in found else None


def mapped(error: PaymentsError) -> Refusal:
    refusal = refusal_of(error, METHOD)
    assert refusal is not None
    return refusal


@pytest.mark.parametrize(("error", "reason", "code", "retryable"), CONTRACT, ids=[row[1] for row in CONTRACT])
def test_an_error_is_told_as_the_contract_says(error: PaymentsError, reason: str, code: str, retryable: bool) -> None:
    refusal = mapped(error)

    info, _, retry = details_of(refusal)
    assert (refusal.code.name, refusal.status.code) == (code, grpc.StatusCode[code].value[0])
    assert (refusal.reason, info.reason, info.domain) == (reason, reason, "payments")
    assert (retry is not None and retry.retry_delay.seconds > 0) is retryable
    assert refusal.status.message == error.message


OF_HTTP = {"INTERNAL", "INVALID_EVENT"}
"""INTERNAL hides what it is; the bridge alone refuses an event."""


def test_every_reason_of_the_error_tree_is_in_the_contract() -> None:
    def below(kind: type[PaymentsError]) -> list[type[PaymentsError]]:
        return [kind, *(child for direct in kind.__subclasses__() for child in below(direct))]

    assert {kind.reason for kind in below(PaymentsError)} - OF_HTTP == {reason for _, reason, _, _ in CONTRACT}


def test_each_wrong_field_is_named() -> None:
    _, violations, _ = details_of(mapped(CONTRACT[0][0]))

    assert [(v.field, v.description) for v in violations.field_violations] == [("user_id", "is required")]


def test_metadata_goes_out_as_it_is() -> None:
    info, _, _ = details_of(mapped(errors.OrderNotFoundError("x", order_id="ord_1")))

    assert dict(info.metadata) == {"order_id": "ord_1"}


def test_a_caller_who_is_not_allowed_learns_which_method_and_what_is_missing() -> None:
    info, _, _ = details_of(mapped(errors.CallerNotAllowedError("x", missing="organization 'org_2'")))

    assert dict(info.metadata) == {"method": METHOD, "missing": "organization 'org_2'"}


@pytest.mark.parametrize("error", [errors.ConfigurationError("secret"), errors.HoleError("secret"), PaymentsError("s")])
def test_an_error_that_is_no_answer_has_no_status(error: PaymentsError) -> None:
    assert refusal_of(error, METHOD) is None


def test_an_internal_error_is_an_id_and_nothing_else() -> None:
    refusal = internal_refusal("err_1")

    info, _, retry = details_of(refusal)
    assert (refusal.code, info.reason, dict(info.metadata)) == (
        grpc.StatusCode.INTERNAL,
        "INTERNAL",
        {"error_id": "err_1"},
    )
    assert retry is None
    assert "err_1" in refusal.status.message


def test_a_refusal_of_everything_still_fits_into_a_trailer() -> None:
    many = [FieldViolation(f"line_items[{number}].price_data.product_name", "é" * 2_000) for number in range(500)]

    for error in (InvalidRequestError(many), errors.StripeRejectedError("é" * 9_000, stripe_code="x" * 9_000)):
        refusal = mapped(error)
        assert len(refusal.status.SerializeToString()) < 4_500
        assert len(refusal.status.message.encode()) <= 500


def test_of_too_many_wrong_fields_the_first_are_named() -> None:
    many = [FieldViolation(f"line_items[{number}]", "needs a price_id or a price_data") for number in range(500)]

    _, violations, _ = details_of(mapped(InvalidRequestError(many)))

    assert violations.field_violations[0].field == "line_items[0]"
    assert 10 < len(violations.field_violations) < 500
