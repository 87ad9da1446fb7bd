"""Waiting for an order: what to ask for, what has come, and how long is left; it does no I/O itself."""

import time

from payments_client.client_errors import PaymentsError
from payments_client.enum_names import number_of
from payments_client.enumerations import WaitUntil
from payments_client.message_reading import read_order
from payments_client.message_writing import duration
from payments_client.order_types import OrderWait
from payments_client.pb.payments.v1 import payments_pb2 as pb
from payments_client.reconnecting import Backoff, is_final
from payments_client.unary_calls import order_key

GRACE = 5.0
"""Seconds beyond the wait until silence counts as a failure."""


class OrderWaiting:
    """One wait, across as many calls as it takes."""

    def __init__(self, order_id: str, checkout_session_id: str, until: WaitUntil, max_wait: float) -> None:
        """Take what is waited for; raises ValueError where the order is not named by one id."""
        self._key = order_key(order_id, checkout_session_id)
        self._until = until
        self._end = time.monotonic() + max_wait
        self._backoff = Backoff(longest=2.0)
        self._last: OrderWait | None = None

    @property
    def deadline(self) -> float:
        """Give the seconds that the next call may take."""
        return max(self._end - time.monotonic(), 0.0) + GRACE

    def request(self) -> pb.WaitOrderRequest:
        """Ask for the rest of the wait."""
        left = max(self._end - time.monotonic(), 0.001)
        return pb.WaitOrderRequest(max_wait=duration(left), until=number_of(self._until), **self._key)

    def take(self, response: pb.WaitOrderResponse) -> None:
        """Keep the newest state."""
        self._backoff.reset()
        self._last = OrderWait(read_order(response.order), response.settled)

    def result(self) -> OrderWait | None:
        """Give what the wait ended with, None where it must go on."""
        if self._last is not None and (self._last.settled or time.monotonic() >= self._end):
            return self._last
        return None

    def pause_after(self, error: PaymentsError | None) -> float:
        """Give the seconds until it is asked again; raises what would only come again, or came when the time is up."""
        if error is None:
            return self._backoff.next_pause()
        if is_final(error) or time.monotonic() >= self._end:
            raise error
        return min(max(self._backoff.next_pause(), error.retry_after or 0.0), max(self._end - time.monotonic(), 0.0))
