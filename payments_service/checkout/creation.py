"""CreateCheckout: the order is committed, then one lease holder asks Stripe, then the answer is folded into the order.

The same request gives the same order whatever happens in between; nothing here can make a second session.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from payments_service.checkout.call_deadline import CallDeadline
from payments_service.checkout.checkout_request import ReturnPages, check_request, request_digest
from payments_service.checkout.creation_claims import Claim, CreationClaims
from payments_service.checkout.new_order import new_order, require_sellable
from payments_service.checkout.order_view import view_order
from payments_service.checkout.session_making import SAME_REQUEST_ONLY, SessionMaking
from payments_service.checkout.session_recorder import SessionRecorder
from payments_service.contract.pb.payments.v1.order_pb2 import Order
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.errors import (
    InvalidRequestError,
    PaymentsError,
    RequestIdReusedError,
    StripeOutcomeUnknownError,
    StripeRejectedError,
    StripeUnavailableError,
)
from payments_service.inbox.waker import Waker
from payments_service.orders.states import PaymentState
from payments_service.scope import Caller
from payments_service.storage.database import Database
from payments_service.storage.order_rows import OrderRow
from payments_service.stripe_gateway.client import StripeGateway

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.01, 0.25


class CheckoutCreation:
    """Makes orders and their sessions, each once."""

    def __init__(
        self,
        database: Database,
        gateway: StripeGateway,
        waker: Waker,
        pages: ReturnPages,
        clock: Callable[[], datetime],
    ) -> None:
        """Take Stripe, and the pages for callers who name none."""
        self._database = database
        self._gateway = gateway
        self._pages = pages
        self._clock = clock
        self._claims = CreationClaims(database, SessionRecorder(database, waker, clock), clock)
        self._making = SessionMaking(gateway, self._claims, clock)

    async def create(
        self, request: CreateCheckoutRequest, caller: Caller, *, stripe_account: str = "", budget: float
    ) -> Order:
        """Make the order and its session, or give what the same request has made already."""
        deadline = CallDeadline(budget)
        require_sellable(request, caller)
        begun = await self._begin(request, caller, stripe_account, deadline)
        order = await self._finish(begun, deadline)
        if order.payment_state == PaymentState.REJECTED:
            raise _refusal(order)
        return await view_order(self._database, order)

    async def _begin(
        self, request: CreateCheckoutRequest, caller: Caller, stripe_account: str, deadline: CallDeadline
    ) -> Claim | OrderRow:
        """Commit the order, or find the one that the same request has made, whatever its checks would say today."""
        digest, now = request_digest(request), self._clock()
        try:
            check_request(request, now)
            deadline.for_stripe()
        except (InvalidRequestError, StripeUnavailableError) as error:
            known = await self._repeated(request, caller, digest, error)
            if known is None:
                raise
            return known
        values = new_order(request, caller, self._pages, now)
        values |= {"request_digest": digest, "stripe_account": stripe_account, "livemode": self._gateway.livemode}
        begun = await self._claims.begin(values, deadline.left())
        if isinstance(begun, OrderRow) and begun.request_digest != digest:
            raise RequestIdReusedError(
                f"The request id {request.request_id} has made {begun.order_id} from another body; "
                "make a new id for another checkout.",
                order_id=begun.order_id,
            )
        return begun

    async def _repeated(
        self, request: CreateCheckoutRequest, caller: Caller, digest: bytes, error: PaymentsError
    ) -> OrderRow | None:
        """Find the order of a request that cannot be begun: only time has passed since it was first made."""
        if isinstance(error, InvalidRequestError) and {v.field for v in error.violations} != {"expire_time"}:
            return None
        known = await self._claims.find(request.organization_id, caller.name, request.request_id.lower())
        return known if known is not None and known.request_digest == digest else None

    async def _finish(self, begun: Claim | OrderRow, deadline: CallDeadline) -> OrderRow:
        """Go on until the order has Stripe's answer: by asking where nobody does, else by waiting for who does."""
        order_id = begun.order.order_id if isinstance(begun, Claim) else begun.order_id
        taken: Claim | OrderRow | None = begun if isinstance(begun, Claim) else None
        wait = FIRST_WAIT_SECONDS
        while True:
            taken = taken or await self._claims.take(order_id, deadline.left())
            if isinstance(taken, Claim):
                taken = await self._making.make(taken, deadline)
            elif taken is None:
                wait = await _pause(order_id, wait, deadline)
            if isinstance(taken, OrderRow):
                return taken


async def _pause(order_id: str, wait: float, deadline: CallDeadline) -> float:
    """Wait a little for whoever asks Stripe, and name the next, longer wait."""
    if deadline.left() <= wait:
        raise StripeOutcomeUnknownError(
            f"Another call with this request_id is still at work. {SAME_REQUEST_ONLY}", order_id=order_id
        )
    await asyncio.sleep(wait)
    return min(wait * 1.5, LONGEST_WAIT_SECONDS)


def _refusal(order: OrderRow) -> StripeRejectedError:
    rejection = order.rejection or {}
    return StripeRejectedError(rejection.get("message", "Stripe refused the request."), **rejection.get("metadata", {}))
