"""The fulfillment stream as a blocking iterator that opens itself again and goes on where it was."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc

from payments_client.client_errors import PaymentsError
from payments_client.error_reading import read_error
from payments_client.event_types import Event
from payments_client.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_client.silence_watch import SilenceWatch
from payments_client.stream_progress import StreamProgress, silence


class EventStream:
    """Gives one event after the other, for ever; neither repeats nor skips one, however often the connection ends.

    What would only be refused again is raised. `close` may be called from another thread, and ends the iteration.
    """

    def __init__(self, progress: StreamProgress, open_call: Callable[[pb.StreamFulfillmentsRequest], Any]) -> None:
        """Take how far it is, and how to open the call."""
        self._progress = progress
        self._open_call = open_call
        self._call: Any = None
        self._watch: SilenceWatch | None = None
        self._closed = threading.Event()

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

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while not self._closed.is_set():
            event = self._progress.give()
            if event is not None:
                return event
            if self._progress.is_over:
                self._drop_call()
                break
            self._receive()
        raise StopIteration

    def _receive(self) -> None:
        """Take one response, or wait until the call may be opened again."""
        try:
            self._progress.take(self._read())
            return
        except PaymentsError as error:
            failure: PaymentsError | None = error
        except EOFError:
            failure = None
        except BaseException:
            self._drop_call()
            raise
        self._drop_call()
        if not self._closed.is_set():
            self._closed.wait(self._progress.pause_after(failure))

    def _read(self) -> pb.StreamFulfillmentsResponse:
        """Read one response; raises EOFError at an end without an error."""
        if self._call is None or self._watch is None:
            self._call = self._open_call(self._progress.request())
            self._watch = SilenceWatch(self._call)
        watch, patience = self._watch, self._progress.patience
        try:
            with watch.waiting(patience):
                response: pb.StreamFulfillmentsResponse = next(self._call)
        except StopIteration as error:
            raise EOFError from error
        except grpc.RpcError as error:
            raise (silence(patience) if watch.was_silent else read_error(error)) from error
        return response

    def _drop_call(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        if self._watch is not None:
            self._watch.end()
            self._watch = None

    def close(self) -> None:
        """End the stream, also while another thread waits for its next event."""
        self._closed.set()
        call, watch = self._call, self._watch
        if call is not None:
            call.cancel()
        if watch is not None:
            watch.end()

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
