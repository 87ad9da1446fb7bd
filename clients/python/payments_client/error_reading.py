"""Turns what gRPC raises into the client's errors: by the reason where the service gave one, else by the status."""

from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from payments_client import client_errors, refusal_errors
from payments_client.client_errors import FieldViolation, PaymentsError

DOMAIN = "payments"
_DETAILS_KEY = "grpc-status-details-bin"


def _all_below(kind: type[PaymentsError]) -> Iterator[type[PaymentsError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _all_below(below)


BY_REASON: dict[str, type[PaymentsError]] = {
    reason: kind for kind in _all_below(PaymentsError) for reason in kind.reasons
}
_BY_CODE: dict[str, type[PaymentsError]] = {
    "INVALID_ARGUMENT": client_errors.InvalidRequestError,
    "UNAUTHENTICATED": client_errors.UnauthenticatedError,
    "PERMISSION_DENIED": client_errors.CallerNotAllowedError,
    "NOT_FOUND": refusal_errors.NotFoundError,
    "ALREADY_EXISTS": refusal_errors.AlreadyExistsError,
    "FAILED_PRECONDITION": refusal_errors.FailedPreconditionError,
    "UNAVAILABLE": client_errors.UnavailableError,
    "DEADLINE_EXCEEDED": client_errors.DeadlineExceededError,
    "UNIMPLEMENTED": client_errors.NotBuiltYetError,
    "INTERNAL": client_errors.InternalError,
}
"""For reasons that a newer service has, and for what failed on the way."""


def read_error(failure: grpc.RpcError, request_id: str = "") -> PaymentsError:
    """Give the error that a failed call means."""
    error: Any = failure  # gRPC's base class does not name what every error of a call has
    code: str = error.code().name
    message: str = error.details() or ""
    info, violations, retry_after = ErrorInfo(), [], None
    for detail in _details(error):
        if isinstance(detail, ErrorInfo) and detail.domain == DOMAIN:
            info = detail
        elif isinstance(detail, BadRequest):
            violations = [FieldViolation(each.field, each.description) for each in detail.field_violations]
        elif isinstance(detail, RetryInfo):
            retry_after = detail.retry_delay.ToTimedelta().total_seconds()
    kind = BY_REASON.get(info.reason) or _BY_CODE.get(code, PaymentsError)
    return kind(
        message,
        reason=info.reason,
        code=code,
        metadata=dict(info.metadata),
        violations=violations,
        retry_after=retry_after,
        request_id=request_id,
    )


def _details(error: Any) -> Iterator[ErrorInfo | BadRequest | RetryInfo]:  # noqa: ANN401
    """Give the google.rpc details of an error, those that are known here."""
    for key, value in error.trailing_metadata() or ():
        if key != _DETAILS_KEY:
            continue
        try:
            details = Status.FromString(value).details
        except DecodeError:
            return
        for detail in details:
            for kind in (ErrorInfo, BadRequest, RetryInfo):
                if detail.Is(kind.DESCRIPTOR):
                    yield kind.FromString(detail.value)
