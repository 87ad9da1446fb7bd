"""Where people and owning services report on a fulfillment: completed, failed, or to be tried again.

Every report names the generation that it answers, so that one about a revoked generation changes nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.contract.pb.payments.v1.payments_pb2 import CompleteFulfillmentRequest, FailFulfillmentRequest
from payments_service.errors import (
    FieldViolation,
    FulfillmentNotAwaitedError,
    FulfillmentNotFoundError,
    GenerationMismatchError,
    InvalidRequestError,
)
from payments_service.fulfillment.outcome import Outcome, failed, fulfilled, later
from payments_service.fulfillment.settlement import Settled, settle
from payments_service.inbox.waker import Waker
from payments_service.observability.work_metrics import note_outcome
from payments_service.orders.order_message import order_message
from payments_service.orders.order_parts import parts_of
from payments_service.orders.states import FulfillmentState
from payments_service.orders.transition import Story, move_order
from payments_service.retry_policy import RetryPolicy
from payments_service.scope import Scope
from payments_service.storage.database import Connection, Database
from payments_service.storage.fulfillment_rows import (
    FulfillmentRow,
    find_fulfillment,
    list_all_fulfillments,
    lock_fulfillment,
    reopen_fulfillment,
)
from payments_service.storage.order_rows import OrderRow, lock_order
from payments_service.storage.timeline_rows import TimelineRow, add_timeline_row

MAX_RESULT_KEYS, MAX_RESULT_KEY, MAX_RESULT_VALUE, MAX_ERROR = 50, 100, 2_000, 500


class FulfillmentDesk:
    """Takes reports, each in one transaction over the order and its fulfillment."""

    def __init__(
        self,
        database: Database,
        waker: Waker,
        retries: RetryPolicy,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
    ) -> None:
        """Take whom to wake when a report was written."""
        self._database = database
        self._waker = waker
        self._retries = retries
        self._clock = clock
        self._chance = chance

    async def complete(self, request: CompleteFulfillmentRequest, scope: Scope) -> Order:
        """Take an owner's word that it is done; the same report again is the same answer."""
        _check_result(request.result)
        outcome = fulfilled(dict(request.result))
        async with self._database.transaction() as tx:
            order, row = await _locked(tx, request.fulfillment_id, scope, request.generation)
            repeated = row.state == outcome.state and row.result == outcome.result
            settled = Settled(order)
            if not repeated:
                settled = await self._report(tx, order, row, outcome, "completed by its owner")
            answer = await _shown(tx, settled.order)
        if not repeated:
            note_outcome(row.purchase_type, outcome.name)
        self._wake(settled)
        return answer

    async def fail(self, request: FailFulfillmentRequest, scope: Scope) -> Order:
        """Take an owner's word that it cannot be done, or not now: then it is handed out again after a while."""
        if not request.error.strip():
            raise InvalidRequestError([FieldViolation("error", "is required: say what went wrong, for an operator")])
        error = request.error[:MAX_ERROR]
        async with self._database.transaction() as tx:
            order, row = await _locked(tx, request.fulfillment_id, scope, request.generation)
            repeated = row.last_error == error and row.state in {FulfillmentState.FAILED, FulfillmentState.PENDING}
            settled = Settled(order)
            outcome = self._after(row, error) if request.retry else failed(error)
            if not repeated:
                settled = await self._report(tx, order, row, outcome, f"failed by its owner: {error}")
            answer = await _shown(tx, settled.order)
        if not repeated:
            note_outcome(row.purchase_type, outcome.name)
        self._wake(settled)
        return answer

    async def retry(self, fulfillment_id: str, scope: Scope) -> Order:
        """Try a failed fulfillment again, with a fresh budget of attempts."""
        async with self._database.transaction() as tx:
            order, row = await _locked(tx, fulfillment_id, scope)
            _require(row, FulfillmentState.FAILED)
            now = self._clock()
            await reopen_fulfillment(tx, fulfillment_id, {"state": FulfillmentState.PENDING, "update_time": now})
            newest = (await list_all_fulfillments(tx, order.order_id))[0]
            order = await move_order(tx, order, {"fulfillment_state": newest.state}, Story(), now)
            line = TimelineRow(now, "operator", "asked for the fulfillment to be tried again", fulfillment_id)
            await add_timeline_row(tx, order.order_id, line)
            answer = await _shown(tx, order)
        self._waker.wake_fulfillment(fulfillment_id)
        return answer

    def _after(self, row: FulfillmentRow, error: str) -> Outcome:
        if self._retries.is_last(row.attempts):
            return failed(error)
        return later(error, self._retries.delay(row.attempts, self._chance))

    async def _report(
        self, tx: Connection, order: OrderRow, row: FulfillmentRow, outcome: Outcome, summary: str
    ) -> Settled:
        _require(row, FulfillmentState.AWAITING_OWNER)
        now = self._clock()
        await add_timeline_row(tx, order.order_id, TimelineRow(now, "rpc", summary, row.fulfillment_id))
        return await settle(tx, order, row, outcome, now)

    def _wake(self, settled: Settled) -> None:
        self._waker.poke_log()
        for fulfillment_id in settled.due_fulfillment_ids:
            self._waker.wake_fulfillment(fulfillment_id)


async def _locked(
    tx: Connection, fulfillment_id: str, scope: Scope, generation: int | None = None
) -> tuple[OrderRow, FulfillmentRow]:
    """Lock the order, then its fulfillment; raises FulfillmentNotFoundError, GenerationMismatchError."""
    found = await find_fulfillment(tx, fulfillment_id)
    order = await lock_order(tx, found.order_id, scope) if found else None
    row = await lock_fulfillment(tx, fulfillment_id) if order else None
    if order is None or row is None:
        raise FulfillmentNotFoundError(f"There is no fulfillment {fulfillment_id!r}.", fulfillment_id=fulfillment_id)
    if generation is not None and generation != row.generation:
        raise GenerationMismatchError(
            f"The report answers generation {generation}, the present one is {row.generation}: "
            "it was revoked or granted again meanwhile; act on the newest event.",
            generation=str(row.generation),
        )
    return order, row


def _require(row: FulfillmentRow, state: FulfillmentState) -> None:
    """Refuse another state; what is about to be revoked counts as revoked for its owner."""
    if state == FulfillmentState.AWAITING_OWNER and row.revoke_due:
        raise FulfillmentNotAwaitedError(
            "The fulfillment is being revoked: its payment was given back.", state="REVOKED"
        )
    if row.state != state:
        name = FulfillmentState(row.state).name
        raise FulfillmentNotAwaitedError(f"The fulfillment is {name}, and this needs it {state.name}.", state=name)


def _check_result(result: Mapping[str, str]) -> None:
    """Keep events small: each of the order's later ones carries the result."""
    if len(result) > MAX_RESULT_KEYS:
        raise InvalidRequestError([FieldViolation("result", f"has {len(result)} keys, at most {MAX_RESULT_KEYS} fit")])
    for key, value in result.items():
        if not 0 < len(key) <= MAX_RESULT_KEY or len(value) > MAX_RESULT_VALUE:
            limits = f"keys have 1 to {MAX_RESULT_KEY} characters, values at most {MAX_RESULT_VALUE}"
            raise InvalidRequestError([FieldViolation(f"result[{key[:MAX_RESULT_KEY]}]", limits)])


async def _shown(tx: Connection, order: OrderRow) -> Order:
    return order_message(order, await parts_of(tx, order.order_id))
