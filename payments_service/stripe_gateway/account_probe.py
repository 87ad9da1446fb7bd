"""Asks Stripe what a key may do and how the account is set up, by reads alone; it judges nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from payments_service.errors import StripeError
from payments_service.stripe_gateway.client import Json, StripeGateway
from payments_service.stripe_gateway.failures import Refusal, refusal_of

BUDGET_SECONDS = 6.0
ACCOUNT = "/v1/account"
ENDPOINTS = "/v1/webhook_endpoints"
NEEDED = {
    "Checkout Sessions": "/v1/checkout/sessions",
    "Events": "/v1/events",
    "Refunds": "/v1/refunds",
    "Subscriptions": "/v1/subscriptions",
    "Invoices": "/v1/invoices",
}
"""What the service reads, by the names that Stripe's page of restricted keys has for them."""
FORBIDDEN = 403
ANSWERED = Refusal()
_ONE = {"limit": 1}


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of one read: an answer, or a refusal."""

    data: Json | None
    refusal: Refusal

    @property
    def forbidden(self) -> bool:
        """Whether the key is good and lacks this right."""
        return self.refusal.status == FORBIDDEN


@dataclass(frozen=True, slots=True)
class AccountProbe:
    """What Stripe answered."""

    events: Probe
    """Of the one list that the service cannot do without."""
    account: Probe
    endpoints: Probe
    lacking: tuple[str, ...]
    connected: dict[str, Refusal]
    """The connected accounts that Stripe did not let us read."""
    clock_lead: timedelta | None
    """How far Stripe's clock is ahead of ours, to the second."""


async def probe_account(gateway: StripeGateway, connected: Sequence[str]) -> AccountProbe:
    """Ask all of it at the same time."""
    events, lead = await _events_and_clock(gateway)
    if events.data is None and not events.forbidden:
        nothing = Probe(None, ANSWERED)
        return AccountProbe(events, nothing, nothing, (), {}, lead)
    account, endpoints, *rights = await asyncio.gather(
        _probe(gateway, ACCOUNT, {}),
        _probe(gateway, ENDPOINTS, {"limit": 100}),
        *(_probe(gateway, path, _ONE) for path in NEEDED.values()),
    )
    refusals = await asyncio.gather(*(_probe(gateway, NEEDED["Events"], _ONE, of) for of in connected))
    return AccountProbe(
        events=events,
        account=account,
        endpoints=endpoints,
        lacking=tuple(name for name, probe in zip(NEEDED, rights, strict=True) if probe.forbidden),
        connected={of: probe.refusal for of, probe in zip(connected, refusals, strict=True) if probe.data is None},
        clock_lead=lead,
    )


async def _events_and_clock(gateway: StripeGateway) -> tuple[Probe, timedelta | None]:
    before = datetime.now(UTC)
    try:
        reply = await gateway.look(NEEDED["Events"], _ONE, account="", budget=BUDGET_SECONDS)
    except StripeError as error:
        return Probe(None, refusal_of(error)), None
    after = datetime.now(UTC)
    return Probe(reply.data, ANSWERED), _lead(reply.headers.get("date", ""), before, after)


def _lead(date: str, before: datetime, after: datetime) -> timedelta | None:
    """Compare the header, which leaves out what is less than a second, with the time in which it was written."""
    try:
        earliest = parsedate_to_datetime(date)
    except ValueError:
        return None
    if earliest > after:
        return earliest - after
    return min(earliest + timedelta(seconds=1) - before, timedelta())


async def _probe(gateway: StripeGateway, path: str, parameters: Json, account: str = "") -> Probe:
    try:
        return Probe((await gateway.look(path, parameters, account=account, budget=BUDGET_SECONDS)).data, ANSWERED)
    except StripeError as error:
        return Probe(None, refusal_of(error))
