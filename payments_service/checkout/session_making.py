"""Asks Stripe for an order's session on behalf of a claim, and keeps whatever comes of it.

A session that may exist is looked for, never made a second time.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from payments_service.checkout.call_deadline import CallDeadline
from payments_service.checkout.creation_claims import Claim, CreationClaims
from payments_service.checkout.session_search import search_session
from payments_service.errors import (
    PaymentsError,
    StripeError,
    StripeMisconfiguredError,
    StripeOutcomeUnknownError,
    StripeRateLimitedError,
    StripeRejectedError,
    StripeUnavailableError,
)
from payments_service.storage.order_rows import OrderRow
from payments_service.stripe_gateway.client import StripeGateway

STRAGGLERS = timedelta(minutes=10)
"""A call that has left us is over at Stripe after this long; before, that no session is there proves nothing."""
SAME_REQUEST_ONLY = "Repeat with the same request_id only."


class SessionMaking:
    """One try of one claim."""

    def __init__(self, gateway: StripeGateway, claims: CreationClaims, clock: Callable[[], datetime]) -> None:
        """Take Stripe, and who keeps its answers."""
        self._gateway = gateway
        self._claims = claims
        self._clock = clock

    async def make(self, claim: Claim, deadline: CallDeadline) -> OrderRow | None:
        """Ask Stripe and keep what comes of it; None where the order must be looked at again."""
        try:
            self._require_same_mode(claim.order)
            if claim.key_lives:
                return await self._post(claim, deadline)
            return await self._search(claim, deadline)
        except StripeError as error:
            await self._claims.release(claim, error)
            raise _as_known(claim, error) from error
        except (Exception, asyncio.CancelledError):
            # The lease would heal it too, but the next try need not wait for that.
            with contextlib.suppress(PaymentsError):
                await asyncio.shield(self._claims.abandon(claim))
            raise

    async def _post(self, claim: Claim, deadline: CallDeadline) -> OrderRow | None:
        """Ask for the session; the same key and parameters give the same one, however often."""
        order = claim.order
        try:
            session = await self._gateway.create_session(
                order.stripe_parameters,
                idempotency_key=claim.idempotency_key,
                account=order.stripe_account,
                budget=deadline.for_stripe(),
            )
        except StripeRejectedError as refusal:
            return await self._claims.reject(claim, refusal)
        except StripeOutcomeUnknownError:
            # Stripe replays a failure under the same key for a day: only looking finds what it made all the same.
            found = await self._glance(order, deadline)
            if found is None:
                raise
            session = found
        return await self._claims.open(claim, session)

    async def _glance(self, order: OrderRow, deadline: CallDeadline) -> dict[str, Any] | None:
        with contextlib.suppress(StripeError):
            return await search_session(self._gateway, order, deadline.for_stripe())
        return None

    async def _search(self, claim: Claim, deadline: CallDeadline) -> OrderRow | None:
        """Look for the session of calls whose key Stripe may have forgotten; never post with that key again."""
        session = await search_session(self._gateway, claim.order, deadline.for_stripe())
        if session is not None:
            return await self._claims.open(claim, session)
        last_call = claim.order.creation_last_call_time or claim.order.create_time
        if self._clock() - last_call < STRAGGLERS:
            raise StripeOutcomeUnknownError("The last try is too fresh to know that no session came of it.")
        await self._claims.renew(claim)
        return None

    def _require_same_mode(self, order: OrderRow) -> None:
        if order.livemode != self._gateway.livemode:
            raise StripeMisconfiguredError(
                f"{order.order_id} was begun in Stripe's other mode, live or test, than this service's key is of."
            )


def _as_known(claim: Claim, error: StripeError) -> StripeError:
    """Name the order in a doubt, and keep an earlier one: that this try did nothing does not resolve it."""
    unknown = isinstance(error, StripeOutcomeUnknownError)
    if unknown or (claim.doubtful and isinstance(error, (StripeRateLimitedError, StripeUnavailableError))):
        earlier = "" if unknown else " An earlier try may have made the checkout."
        return StripeOutcomeUnknownError(f"{error.message}{earlier} {SAME_REQUEST_ONLY}", order_id=claim.order.order_id)
    return error
