"""Posts one event to one target: the body unchanged, a fresh signature, no redirects; it decides nothing of retries."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import aiohttp

from payments_service.errors import PaymentsError
from payments_service.stripe_gateway.signature import sign_payload

TIMEOUT_SECONDS = 10.0


class DeliveryFailedError(PaymentsError):
    """Raised when a target did not take an event; the message says what it answered."""


class EventDelivery:
    """Signs with the service's own webhook secret, so that a target verifies as if Stripe had sent it."""

    def __init__(self, session: aiohttp.ClientSession, secret: str, clock: Callable[[], datetime]) -> None:
        """Take the connections and the secret."""
        self._session = session
        self._secret = secret
        self._clock = clock

    async def post(self, url: str, payload: bytes) -> None:
        """Deliver; raises DeliveryFailedError for anything but a 2xx answer in time."""
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": sign_payload(payload, self._secret, self._clock()),
            "User-Agent": "payments-service (forwarded Stripe event)",
        }
        try:
            async with self._session.post(url, data=payload, headers=headers, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    raise DeliveryFailedError(f"answered {answer.status}")
        except TimeoutError as error:
            raise DeliveryFailedError(f"did not answer within {TIMEOUT_SECONDS:.0f} s") from error
        except aiohttp.ClientError as error:
            raise DeliveryFailedError(f"cannot be reached: {type(error).__name__}") from error


@asynccontextmanager
async def open_delivery(secret: str, clock: Callable[[], datetime]) -> AsyncIterator[EventDelivery]:
    """Open the connections to the targets."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield EventDelivery(session, secret, clock)
