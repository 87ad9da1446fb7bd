"""Reads what a member says: how it joins, and every message after, which waits here for the session's next step."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass

from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import (
    ConsumeFulfillmentsRequest,
    NackEvents,
    OpenConsumer,
)
from payments_service.errors import FieldViolation, InvalidRequestError
from payments_service.event_log.delivery_credit import DEFAULT_BYTES, MOST_EVENTS
from payments_service.event_log.ledger_rules import Nack
from payments_service.event_log.stream_options import DEFAULT_HEARTBEAT, LONGEST_HEARTBEAT, SHORTEST_HEARTBEAT

OPENING_SECONDS = 30.0
MOST_UNHEARD = 1000
MEMBER_ID_LENGTH = 200
REASON_LENGTH = 1000
LONGEST_DELAY = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Opening:
    """How a member wants to be served."""

    subscriber: str
    member_id: str
    credit: int
    credit_bytes: int
    heartbeat: float


class MemberVoice:
    """What a member has said and was not heard yet; a member that says too much at once waits."""

    def __init__(self, requests: AsyncIterator[ConsumeFulfillmentsRequest]) -> None:
        """Take what it says, message by message."""
        self._requests = requests
        self.wake = asyncio.Event()
        """Set when something has come; whoever waits for it clears it."""
        self._unheard: deque[ConsumeFulfillmentsRequest] = deque()
        self._room = asyncio.Event()
        self._failure: Exception | None = None
        self.has_ended = False
        """Whether the member says nothing more."""

    @property
    def has_words(self) -> bool:
        """Say whether something was not heard yet."""
        return bool(self._unheard) or self._failure is not None

    async def opening(self) -> Opening:
        """Wait for the first message; raises InvalidRequestError."""
        with suppress(TimeoutError, StopAsyncIteration):
            async with asyncio.timeout(OPENING_SECONDS):
                first = await anext(self._requests)
                if first.WhichOneof("request") == "open":
                    return read_opening(first.open)
        raise InvalidRequestError([FieldViolation("open", "is required, in the first message")])

    async def listen(self) -> None:
        """Take what comes until the member ends, or is cut off."""
        try:
            async for request in self._requests:
                self._unheard.append(request)
                self.wake.set()
                while len(self._unheard) >= MOST_UNHEARD:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:  # the session says it
            self._failure = error
        self.has_ended = True
        self.wake.set()

    def heard(self) -> Iterator[ConsumeFulfillmentsRequest]:
        """Give what has come; raises what was wrong with it."""
        while self._unheard:
            yield self._unheard.popleft()
        self._room.set()
        if self._failure is not None:
            raise self._failure


def read_opening(request: OpenConsumer) -> Opening:
    """Raise InvalidRequestError with every violation."""
    violations = list(_violations(request))
    if violations:
        raise InvalidRequestError(violations)
    heartbeat = request.heartbeat_interval.seconds + request.heartbeat_interval.nanos / 1e9
    return Opening(
        request.subscriber,
        request.member_id,
        request.credit,
        request.credit_bytes or DEFAULT_BYTES,
        min(max(heartbeat or DEFAULT_HEARTBEAT, SHORTEST_HEARTBEAT), LONGEST_HEARTBEAT),
    )


def read_nack(request: NackEvents) -> Nack:
    """Take a nack's delay as it is said, as far as that can be; without one it is the service's to choose."""
    seconds = request.delay.seconds + request.delay.nanos / 1e9
    delay = min(max(seconds, 0.0), LONGEST_DELAY) if request.HasField("delay") else None
    return Nack(request.reason[:REASON_LENGTH], delay, request.park)


def _violations(request: OpenConsumer) -> Iterator[FieldViolation]:
    if not request.subscriber:
        yield FieldViolation("open.subscriber", "is required")
    if not request.member_id:
        yield FieldViolation("open.member_id", "is required: a name of this replica, the same after a restart")
    if len(request.member_id) > MEMBER_ID_LENGTH:
        yield FieldViolation("open.member_id", f"is longer than {MEMBER_ID_LENGTH} characters")
    if not 1 <= request.credit <= MOST_EVENTS:
        yield FieldViolation("open.credit", f"must be between 1 and {MOST_EVENTS}")
    if request.credit_bytes < 0:
        yield FieldViolation("open.credit_bytes", "is negative: leave it out for 4 MiB")
