"""What happens around every call: who calls is resolved once, the policy enforced, errors mapped, one line logged.

Servicers behind it get a Call and raise our errors; they know neither tokens nor gRPC's contexts.
"""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import structlog
from google.protobuf.message import Message
from grpc_status import rpc_status

from payments_service.errors import PaymentsError
from payments_service.identifiers import new_id
from payments_service.observability.call_metrics import CallMeter
from payments_service.rpc.callers import CallerResolver, Credentials
from payments_service.rpc.method_policy import METHOD_POLICIES, require_allowed
from payments_service.rpc.request_rules import read_request
from payments_service.rpc.status_mapping import Refusal, internal_refusal, refusal_of
from payments_service.rpc.stream_writing import write_conversation, write_stream
from payments_service.scope import Caller

MAX_BUDGET = 25.0
"""Seconds that a call may take where its caller sets no shorter deadline."""
Context = grpc.aio.ServicerContext[Any, Any]
UnaryServicing = Callable[[Any, "Call"], Awaitable[Message]]
StreamServicing = Callable[[Any, "Call"], Awaitable[AsyncGenerator[bytes, None]]]
ConversationServicing = Callable[[AsyncIterator[Any], "Call"], Awaitable[AsyncGenerator[bytes, None]]]
R = TypeVar("R")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as a servicer sees it."""

    caller: Caller
    current_caller: Callable[[], Caller]
    """Resolves the caller again: raises UnauthenticatedError or CallerNotAllowedError once that is no longer so."""
    budget: float
    """Seconds that are left for it."""


@dataclass(slots=True)
class _Record:
    """What the log line of a call tells."""

    method: str
    started: float
    caller: str = ""
    order_id: str = ""
    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""
    error: Exception | None = None
    error_id: str = ""


class CallInterceptor:
    """Wraps servicers' coroutines into gRPC's."""

    def __init__(self, resolver: CallerResolver, write_seconds: float) -> None:
        """Take who knows the callers, and how long a stream may wait for its client to read."""
        self._resolver = resolver
        self._write_seconds = write_seconds

    def unary(self, method: str, kind: type[Message], servicing: UnaryServicing) -> Callable[..., Awaitable[Message]]:
        """Wrap a method that answers once; the request comes as bytes, so that one that is none is refused kindly."""
        meter = CallMeter(method, "unary")

        async def answer(data: bytes, context: Context) -> Message:
            async def work(call: Call, record: _Record) -> Message:
                request = read_request(kind, data)
                record.order_id = _order_id(request)
                response = await servicing(request, call)
                record.order_id = record.order_id or _order_id(response)
                return response

            return await self._around(meter, method, context, work)

        return answer

    def stream(self, method: str, kind: type[Message], servicing: StreamServicing) -> Callable[..., Awaitable[None]]:
        """Wrap a method that answers with a stream of serialized responses."""
        meter = CallMeter(method, "server_stream")

        async def answer(data: bytes, context: Context) -> None:
            async def work(call: Call, _: _Record) -> None:
                request = read_request(kind, data)
                async with aclosing(await servicing(request, call)) as responses:
                    await write_stream(context, responses, self._write_seconds)

            await self._around(meter, method, context, work)

        return answer

    def conversation(
        self, method: str, kind: type[Message], servicing: ConversationServicing
    ) -> Callable[..., Awaitable[None]]:
        """Wrap a method in which both sides send streams; requests are read when the servicer asks for them."""
        meter = CallMeter(method, "bidi_stream")

        async def answer(data: AsyncIterator[bytes], context: Context) -> None:
            async def requests() -> AsyncGenerator[Message, None]:
                async for item in data:
                    yield read_request(kind, item)

            async def work(call: Call, _: _Record) -> None:
                async with aclosing(await servicing(requests(), call)) as responses:
                    await write_conversation(context, responses, self._write_seconds)

            await self._around(meter, method, context, work)

        return answer

    async def _around(
        self, meter: CallMeter, method: str, context: Context, work: Callable[[Call, _Record], Awaitable[R]]
    ) -> R:
        record = _Record(method, time.perf_counter())
        meter.began()
        try:
            answer = await work(self._admit(record, context), record)
        except Exception as error:  # whatever is raised becomes a status
            refusal = _refused(record, error)
            _tell(record, meter)
            status = rpc_status.to_status(refusal.status)
            await context.abort(status.code, status.details, (*status.trailing_metadata, *refusal.pushback))
        except BaseException:
            record.code = grpc.StatusCode.CANCELLED
            _tell(record, meter)
            raise
        _tell(record, meter)
        return answer

    def _admit(self, record: _Record, context: Context) -> Call:
        credentials = _credentials(context)

        def current_caller() -> Caller:
            caller = self._resolver.resolve(credentials)
            record.caller = caller.name
            require_allowed(caller, METHOD_POLICIES[record.method])
            return caller

        return Call(current_caller(), current_caller, _budget(context))


def _credentials(context: Context) -> Credentials:
    """Take the one authorization header: with two, a proxy and we could believe different ones."""
    told = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
    return Credentials(authorization=str(told[0])) if len(told) == 1 else Credentials()


def _budget(context: Context) -> float:
    remaining: float | None = context.time_remaining()
    return MAX_BUDGET if remaining is None else min(remaining, MAX_BUDGET)


def _refused(record: _Record, error: Exception) -> Refusal:
    """Decide what the caller is told, and note it for the log."""
    refusal = refusal_of(error, record.method) if isinstance(error, PaymentsError) else None
    if refusal is None:
        record.error_id = new_id("err")
        refusal = internal_refusal(record.error_id)
    if isinstance(error, PaymentsError):
        record.order_id = record.order_id or error.metadata.get("order_id", "")
    record.error, record.code, record.reason = error, refusal.code, refusal.reason
    return refusal


def _tell(record: _Record, meter: CallMeter) -> None:
    """Count the call and write its one line; what a caller may be refused for is no error of ours."""
    seconds = time.perf_counter() - record.started
    meter.ended(record.code.name, record.reason, seconds)
    ours = record.code is grpc.StatusCode.INTERNAL
    known = {
        "order_id": record.order_id,
        "reason": record.reason,
        "error_id": record.error_id,
        "exc_info": record.error if ours else None,
    }
    _log.log(
        logging.ERROR if ours else logging.INFO,
        "rpc.answered",
        method=record.method,
        caller=record.caller,
        code=record.code.name,
        milliseconds=round(seconds * 1000, 2),
        **{name: value for name, value in known.items() if value},
    )


def _order_id(message: Message) -> str:
    """Name the order that a request or a response is about, where it says so."""
    fields = message.DESCRIPTOR.fields_by_name
    if "order_id" in fields:
        return str(getattr(message, "order_id"))  # noqa: B009  # not every message has it
    if "order" in fields:
        return str(getattr(message, "order").order_id)  # noqa: B009
    return ""
