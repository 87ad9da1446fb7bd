"""The one mapping from our errors to gRPC: a status by class, and the details that a client may act on.

Nothing of an error that is not ours goes out: its caller gets an id, the log its traceback.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from payments_service import errors
from payments_service.errors import FieldViolation, InvalidRequestError, PaymentsError

DOMAIN = "payments"
MESSAGE_BYTES = 500
DETAIL_BYTES = 200
VIOLATIONS_BYTES = 2_500
"""A client drops trailers of more than 8 KiB, and every reason with them."""
T = TypeVar("T")

_CODES: dict[type[PaymentsError], grpc.StatusCode] = {
    errors.InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.CursorInvalidError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.StartRequiredError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    errors.CallerNotAllowedError: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFoundError: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    errors.FailedPreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StripeRejectedError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StripeRateLimitedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.StripeUnavailableError: grpc.StatusCode.UNAVAILABLE,
    errors.StripeOutcomeUnknownError: grpc.StatusCode.UNAVAILABLE,
    errors.StripeMisconfiguredError: grpc.StatusCode.INTERNAL,
    errors.StorageUnavailableError: grpc.StatusCode.UNAVAILABLE,
    errors.CursorExpiredError: grpc.StatusCode.OUT_OF_RANGE,
    errors.CursorDivergedError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.CursorAheadError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SlowConsumerError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DrainingError: grpc.StatusCode.UNAVAILABLE,
}
_RETRY_SECONDS: dict[type[PaymentsError], int] = {
    errors.StripeRateLimitedError: 2,
    errors.StripeUnavailableError: 1,
    errors.StripeOutcomeUnknownError: 1,
    errors.StorageUnavailableError: 1,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a caller is answered instead of a response."""

    code: grpc.StatusCode
    reason: str
    status: Status
    pushback: tuple[tuple[str, str], ...] = ()
    """RetryInfo once more, as gRPC's own retries heed it: so clients that retry by service config wait as long."""


def refusal_of(error: PaymentsError, method: str) -> Refusal | None:
    """Give the refusal that an error means; None where callers must not learn more than that it failed."""
    code = _nearest(_CODES, error)
    if code is None:
        return None
    metadata = {"method": method, **error.metadata} if code is grpc.StatusCode.PERMISSION_DENIED else error.metadata
    info = {key: _cut(value, DETAIL_BYTES) for key, value in metadata.items()}
    refusal = _refusal(code, error.reason, error.message, [_error_info(error.reason, info), *_advice(error)])
    return replace(refusal, pushback=_pushback(error))


def internal_refusal(error_id: str) -> Refusal:
    """Give the refusal for whatever is not ours: an id that an operator finds in the log, and nothing else."""
    message = f"The service failed; its log has the details under {error_id}."
    return _refusal(grpc.StatusCode.INTERNAL, "INTERNAL", message, [_error_info("INTERNAL", {"error_id": error_id})])


def _refusal(code: grpc.StatusCode, reason: str, message: str, details: list[Message]) -> Refusal:
    status = Status(
        code=code.value[0], message=_cut(message, MESSAGE_BYTES), details=[_packed(detail) for detail in details]
    )
    return Refusal(code, reason, status)


def _advice(error: PaymentsError) -> Iterator[Message]:
    seconds = _nearest(_RETRY_SECONDS, error)
    if seconds is not None:
        yield RetryInfo(retry_delay=Duration(seconds=seconds))
    if isinstance(error, InvalidRequestError):
        yield BadRequest(field_violations=_fitting(error.violations))


def _pushback(error: PaymentsError) -> tuple[tuple[str, str], ...]:
    seconds = _nearest(_RETRY_SECONDS, error)
    return () if seconds is None else (("grpc-retry-pushback-ms", str(seconds * 1000)),)


def _fitting(violations: Iterable[FieldViolation]) -> Iterator[BadRequest.FieldViolation]:
    """Give the first violations, as many as a trailer can hold."""
    room = VIOLATIONS_BYTES
    for violation in violations:
        message = BadRequest.FieldViolation(
            field=_cut(violation.field, DETAIL_BYTES), description=_cut(violation.description, MESSAGE_BYTES)
        )
        room -= message.ByteSize()
        if room < 0:
            return
        yield message


def _error_info(reason: str, metadata: dict[str, str]) -> ErrorInfo:
    return ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


def _cut(text: str, size: int) -> str:
    """Keep the first bytes; the wire writes one that is not ASCII as three."""
    return text.encode()[:size].decode(errors="ignore")


def _nearest(table: dict[type[PaymentsError], T], error: PaymentsError) -> T | None:
    """Look an error's class up, then the classes above it."""
    return next((table[known] for known in type(error).__mro__ if known in table), None)
