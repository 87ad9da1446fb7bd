"""Opens StreamFulfillments for callers who keep their own cursor, and ends them all when the process drains."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.errors import DrainingError
from payments_service.event_log.open_stream import OpenStream
from payments_service.event_log.start_position import find_start
from payments_service.event_log.stream_options import read_options
from payments_service.event_log.stream_surroundings import Clock, StreamLimits, Surroundings
from payments_service.event_log.tailer import Tailer
from payments_service.scope import Caller
from payments_service.storage.database import Database


class FulfillmentStreams:
    """All open streams of a process; they share its one tailer."""

    def __init__(self, database: Database, tailer: Tailer, clock: Clock, *, limits: StreamLimits | None = None) -> None:
        """Take the tailer, opened and running."""
        self._surroundings = Surroundings(database, tailer, clock, limits or StreamLimits())
        self._open: dict[OpenStream, str] = {}

    async def open(
        self, request: StreamFulfillmentsRequest, current_caller: Callable[[], Caller]
    ) -> AsyncGenerator[bytes, None]:
        """Check everything before the first response; gives serialized responses.

        Raises InvalidRequestError, CallerNotAllowedError, StartRequiredError, the cursor's errors, DrainingError.
        """
        surroundings = self._surroundings
        if surroundings.drained:
            raise DrainingError("This process is about to stop: open the stream elsewhere.")
        lineage = surroundings.tailer.lineage
        options = read_options(request)
        start = await find_start(surroundings.database, request.start, surroundings.limits.ahead)
        return self._followed(current_caller().name, OpenStream(surroundings, options, start, current_caller, lineage))

    @property
    def lags(self) -> list[tuple[str, int]]:
        """How far behind each open stream is, with its caller's name."""
        return [(caller, stream.lag) for stream, caller in self._open.items()]

    @property
    def drained(self) -> bool:
        """Whether streams are told to go elsewhere."""
        return self._surroundings.drained

    def drain(self) -> None:
        """Let every stream say Draining with its cursor, and raise DrainingError; new ones are refused."""
        self._surroundings.drained = True
        self._surroundings.tailer.wake()

    async def _followed(self, caller: str, stream: OpenStream) -> AsyncGenerator[bytes, None]:
        """Give a stream's responses, and know of it meanwhile."""
        self._open[stream] = caller
        try:
            async with aclosing(stream.responses()) as responses:
                async for response in responses:
                    yield response
        finally:
            del self._open[stream]
