"""A service that answers what a test has written down, for answers that the real one gives only in trouble."""

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from payments_service.contract.pb.payments.v1 import operations_pb2_grpc, payments_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]
Answer = Callable[[Any, Context], Awaitable[Any]]
Stream = Callable[[Any, Context], AsyncIterator[Any]]


class CannedService:
    """Answers each method's calls in turn, the last answer again and again, and keeps what it was asked."""

    def __init__(self) -> None:
        self._answers: dict[str, deque[Any]] = defaultdict(deque)
        self.requests: dict[str, list[Any]] = defaultdict(list)
        self.metadata: list[dict[str, str]] = []

    def answers(self, method: str, *answers: Message | Answer | Stream) -> None:
        """Write down what a method answers."""
        self._answers[method].extend(answers)

    def servicer(self, base: type) -> Any:  # noqa: ANN401
        """Make a servicer of one of the contract's services."""
        streaming = {"StreamFulfillments"}
        names = [name for name in vars(base) if not name.startswith("_")]
        methods = {name: self._stream(name) if name in streaming else self._unary(name) for name in names}
        return type("Canned", (base,), methods)()

    def _unary(self, name: str) -> Any:  # noqa: ANN401
        async def answer(_: object, request: Message, context: Context) -> Message:
            canned = self._next(name, request, context)
            result: Message = canned if isinstance(canned, Message) else await canned(request, context)
            return result

        return answer

    def _stream(self, name: str) -> Any:  # noqa: ANN401
        async def answer(_: object, request: Message, context: Context) -> AsyncIterator[Message]:
            async for response in self._next(name, request, context)(request, context):
                yield response

        return answer

    def _next(self, name: str, request: Message, context: Context) -> Any:  # noqa: ANN401
        kept = type(request)()
        kept.CopyFrom(request)
        self.requests[name].append(kept)
        self.metadata.append({str(key): str(value) for key, value in context.invocation_metadata() or ()})
        answers = self._answers[name]
        return answers.popleft() if len(answers) > 1 else answers[0]


@asynccontextmanager
async def open_canned(service: CannedService, address: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Listen until the context ends, and give the address."""
    server = grpc.aio.server()
    payments_pb2_grpc.add_PaymentsServicer_to_server(service.servicer(payments_pb2_grpc.PaymentsServicer), server)
    operations_pb2_grpc.add_OperationsServicer_to_server(
        service.servicer(operations_pb2_grpc.OperationsServicer), server
    )
    port = server.add_insecure_port(address)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def refuse(
    context: Context, code: grpc.StatusCode, reason: str, message: str, violations: dict[str, str] | None = None
) -> None:
    """End a call as the service does."""
    status = Status(code=code.value[0], message=message)
    status.details.add().Pack(ErrorInfo(reason=reason, domain="payments"))
    if violations:
        named = [BadRequest.FieldViolation(field=field, description=text) for field, text in violations.items()]
        status.details.add().Pack(BadRequest(field_violations=named))
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(code, message)
