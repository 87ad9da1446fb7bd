"""The fulfillment stream as an async iterator that opens itself again and goes on where it was."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import grpc

from payments_client.client_errors import PaymentsError
from payments_client.error_reading import read_error
from payments_client.event_types import Event
from payments_client.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_client.stream_progress import StreamProgress, silence

StreamCall = grpc.aio.UnaryStreamCall[pb.StreamFulfillmentsRequest, pb.StreamFulfillmentsResponse]


class AsyncEventStream:
    """Gives one event after the other, for ever; neither repeats nor skips one, however often the connection ends.

    What would only be refused again is raised, and the stream may be asked again after it: see `cursor`.
    """

    def __init__(
        self, progress: StreamProgress, open_call: Callable[[pb.StreamFulfillmentsRequest], StreamCall]
    ) -> None:
        """Take how far it is, and how to open the call."""
        self._progress = progress
        self._open_call = open_call
        self._call: StreamCall | None = None
        self._is_closed = False

    @property
    def cursor(self) -> bytes:
        """Give the place behind what was given last, or behind what did not match; empty before the first answer."""
        return self._progress.cursor

    @property
    def is_caught_up(self) -> bool:
        """Tell whether the stream has reached the present."""
        return self._progress.is_caught_up

    @property
    def lag(self) -> int:
        """Give the number of positions of the log that were behind the last response."""
        return self._progress.lag

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._is_closed:
            event = self._progress.give()
            if event is not None:
                return event
            if self._progress.is_over:
                self._drop_call()
                break
            await self._receive()
        raise StopAsyncIteration

    async def _receive(self) -> None:
        """Take one response, or wait until the call may be opened again."""
        try:
            self._progress.take(await self._read())
            return
        except PaymentsError as error:
            failure: PaymentsError | None = error
        except EOFError:
            failure = None
        except asyncio.CancelledError:
            self._drop_call()
            if self._is_closed:  # by another task: then it is the call that was cancelled, and this is the end
                return
            raise
        self._drop_call()
        await asyncio.sleep(self._progress.pause_after(failure))

    async def _read(self) -> pb.StreamFulfillmentsResponse:
        """Read one response; raises EOFError at an end without an error."""
        if self._call is None:
            self._call = self._open_call(self._progress.request())
        call, patience = self._call, self._progress.patience
        try:
            async with asyncio.timeout(patience):
                response = await call.read()
        except TimeoutError as error:
            raise silence(patience) from error
        except grpc.RpcError as error:
            raise read_error(error) from error
        if not isinstance(response, pb.StreamFulfillmentsResponse):
            raise EOFError
        return response

    def _drop_call(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    async def aclose(self) -> None:
        """End the stream, also while another task waits for its next event."""
        self._is_closed = True
        self._drop_call()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
