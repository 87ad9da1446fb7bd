"""Says in one sentence why a call failed and what to do; the service's own words where it answered."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from payments_service.cli.call_target import CallTarget
from payments_service.cli.terminal import clean
from payments_service.errors import CallFailedError

_DETAILS = "grpc-status-details-bin"
_ADVICE = {
    "UNAUTHENTICATED": "Set PAYMENTS_TOKEN to a token of the callers file.",
    "CURSOR_EXPIRED": "Start again with `--from earliest`; `payments orders` has the present state of what is gone.",
    "CURSOR_DIVERGED": "Start again with `--from earliest`.",
    "CURSOR_AHEAD": "Start again with `--from earliest`.",
}


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the service said, beside gRPC's status."""

    reason: str = ""
    violations: list[tuple[str, str]] = field(default_factory=list)


def call_failure(error: grpc.RpcError, target: CallTarget, seconds: float) -> CallFailedError:
    """Translate; `seconds` is how long the call was given."""
    code: grpc.StatusCode = error.code()
    details = clean(error.details() or "")
    answer = _answer(error)
    sentence = _refusal(details, answer) if answer.reason else _silence(code, details, target, seconds)
    return CallFailedError(sentence, status=code.name, reason=answer.reason)


def _refusal(details: str, answer: _Answer) -> str:
    if answer.violations:
        lines = [f"  {name}: {description}" for name, description in answer.violations]
        return "\n".join([f"The request is refused ({answer.reason}):", *lines])
    advice = _ADVICE.get(answer.reason, "")
    return f"{details} ({answer.reason})" + (f" {advice}" if advice else "")


def _silence(code: grpc.StatusCode, details: str, target: CallTarget, seconds: float) -> str:
    """Say what stands behind a status that no payments service gave."""
    match code:
        case grpc.StatusCode.UNAVAILABLE if "handshake" in details.lower() or "certificate" in details.lower():
            return (
                f"{target.address} and this command do not agree on TLS: write PAYMENTS_TARGET as https://host:port "
                "where the service has a certificate (PAYMENTS_TLS_CERT names whom to trust), else as host:port."
            )
        case grpc.StatusCode.UNAVAILABLE:
            return f"Nothing answers at {target.address}: start it with `payments up`, or set PAYMENTS_TARGET."
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"{target.address} did not answer within {seconds:g} s: try again, or look at `payments status`."
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"{target.address} does not know this call: it is no payments service, or one of another version."
        case _:
            return f"{target.address} failed: {details or code.name} ({code.name})"


def _answer(error: grpc.RpcError) -> _Answer:
    reason, violations = "", []
    for detail in _details(error):
        match detail:
            case ErrorInfo():
                reason = clean(detail.reason)
            case BadRequest():
                violations = [(clean(v.field), clean(v.description)) for v in detail.field_violations]
            case _:
                pass
    return _Answer(reason, violations)


def _details(error: grpc.RpcError) -> Iterator[ErrorInfo | BadRequest]:
    trailers: Any = error.trailing_metadata() or ()  # pairs, which the stubs do not know
    status = Status()
    try:
        status.ParseFromString(dict(trailers).get(_DETAILS, b""))
    except DecodeError:
        return
    for packed in status.details:
        for kind in (ErrorInfo, BadRequest):
            detail = kind()
            if packed.Unpack(detail):
                yield detail
