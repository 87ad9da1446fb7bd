"""Opens ConsumeFulfillments for members of durable subscribers, and ends them all when the process drains."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentFilter
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import ConsumeFulfillmentsRequest
from payments_service.errors import DrainingError
from payments_service.event_log.consumer_ledger import ConsumerLedger
from payments_service.event_log.consumer_opening import MemberVoice, Opening
from payments_service.event_log.consumer_session import ConsumerSession
from payments_service.event_log.consumer_surroundings import DELIVERY_RETRIES, ConsumerLimits, ConsumerSurroundings
from payments_service.event_log.delivery_credit import DeliveryCredit
from payments_service.event_log.group_store import GroupStore, not_found
from payments_service.event_log.ledger_rules import LedgerRules
from payments_service.event_log.session_turns import SessionTurns
from payments_service.event_log.shard_holding import ShardHolding, place_lost
from payments_service.event_log.stream_filter import Matches, stream_filter
from payments_service.event_log.stream_surroundings import Clock
from payments_service.event_log.subscriber_rights import require_mine
from payments_service.event_log.tailer import Tailer
from payments_service.identifiers import new_id
from payments_service.scope import Caller
from payments_service.storage.database import Database
from payments_service.storage.log_rows import read_head
from payments_service.storage.shard_rows import Membership
from payments_service.storage.subscriber_rows import SubscriberRow, find_subscriber, read_places


class FulfillmentConsumers:
    """All sessions of a process; they share its one tailer."""

    def __init__(
        self,
        database: Database,
        tailer: Tailer,
        clock: Clock,
        *,
        limits: ConsumerLimits | None = None,
        make_store: Callable[[Database, Membership], GroupStore] = GroupStore,
    ) -> None:
        """Take the tailer, opened and running."""
        self._surroundings = ConsumerSurroundings(
            database, tailer, clock, limits or ConsumerLimits(), make_store=make_store
        )

    async def open(
        self, requests: AsyncIterator[ConsumeFulfillmentsRequest], current_caller: Callable[[], Caller]
    ) -> AsyncGenerator[bytes, None]:
        """Check everything before the first response; gives serialized responses.

        Raises InvalidRequestError, SubscriberNotFoundError, CallerNotAllowedError, CursorExpiredError, DrainingError.
        """
        if self._surroundings.drained:
            raise DrainingError("This process is about to stop: open the session elsewhere.")
        voice = MemberVoice(requests)
        opening = await voice.opening()
        row = await self._find(opening.subscriber, current_caller())
        return self._session(row, opening, voice, _matches_of(row, current_caller)).responses()

    @property
    def sessions(self) -> int:
        """How many are open in this process."""
        return self._surroundings.sessions

    def tell(self, subscriber: str) -> None:
        """Let the members in this process notice that a subscriber was changed."""
        self._surroundings.tell(subscriber)

    def drain(self) -> None:
        """Let every session say Draining, take the answers that still come, and end; new ones are refused."""
        self._surroundings.drained = True
        self._surroundings.tell_all()

    async def departed(self) -> None:
        """Wait until the sessions that have ended hold nothing any more."""
        await self._surroundings.departed()

    async def _find(self, subscriber: str, caller: Caller) -> SubscriberRow:
        async with self._surroundings.database.reading() as reading:
            row = await find_subscriber(reading, subscriber)
            places = (await read_places(reading, [subscriber]))[subscriber]
            head = await read_head(reading)
        if row is None:
            raise not_found(subscriber)
        require_mine(row, caller)
        if min(place.acked_through for place in places) < head.trimmed_through:
            raise place_lost(subscriber)
        return row

    def _session(
        self, row: SubscriberRow, opening: Opening, voice: MemberVoice, current_matches: Callable[[], Matches]
    ) -> ConsumerSession:
        around = self._surroundings
        me = Membership(row.subscriber, row.create_time, opening.member_id, new_id("ses"), around.limits.hold)
        rules = LedgerRules(
            row.shard_count, row.max_attempts, lambda attempt: DELIVERY_RETRIES.delay(attempt, around.chance)
        )
        ledger = ConsumerLedger(rules, DeliveryCredit(opening.credit, opening.credit_bytes), current_matches())
        turns = SessionTurns(ledger, around.make_store(around.database, me), around.limits, current_matches)
        return ConsumerSession(around, opening, voice, turns, ShardHolding(around, turns, me, row.shard_count))


def _matches_of(row: SubscriberRow, current_caller: Callable[[], Caller]) -> Callable[[], Matches]:
    """Give what decides what may be delivered now: the filter, within what the owner had and the caller has."""
    requested = FulfillmentFilter.FromString(row.filter)

    def current_matches() -> Matches:
        caller = current_caller()
        require_mine(row, caller)
        return stream_filter(requested, row.scope.within(caller.scope))

    return current_matches
