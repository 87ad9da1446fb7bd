"""Judges the key and the account: whether Stripe takes the key, what it may do, and whether the clocks agree."""

import re
from collections.abc import Iterator
from datetime import timedelta

from payments_service.diagnosis.file_check import connected_accounts
from payments_service.diagnosis.finding import Finding, Reporter
from payments_service.diagnosis.webhook_check import judge_endpoints, judge_secrets
from payments_service.observability.logs import mask_secrets
from payments_service.settings import Settings
from payments_service.stripe_gateway.account_probe import AccountProbe, Probe, probe_account
from payments_service.stripe_gateway.client import StripeKey, open_gateway
from payments_service.stripe_gateway.failures import Refusal
from payments_service.stripe_gateway.signature import TOLERANCE_SECONDS

CLOCK_WARNING, CLOCK_PROBLEM = timedelta(seconds=30), timedelta(seconds=TOLERANCE_SECONDS - 60)
UNAUTHORIZED = 401
_KEY = re.compile(r"(sk|rk)_(test|live)_\w+")
_report = Reporter("stripe")


async def check_stripe(settings: Settings) -> list[Finding]:
    """Ask Stripe, or what stands in for it, and judge the answers."""
    secrets = list(judge_secrets(settings))
    if not settings.stripe_key:
        return [_report.ok("No key: `payments up` starts a sandbox Stripe."), *secrets]
    async with open_gateway(StripeKey(settings.stripe_key, settings.stripe_api_base)) as gateway:
        probe = await probe_account(gateway, connected_accounts(settings))
    return [*judge_probe(probe, settings), *secrets, *_endpoints(probe.endpoints, settings)]


def judge_probe(probe: AccountProbe, settings: Settings) -> Iterator[Finding]:
    """Judge what Stripe answered."""
    if not _KEY.fullmatch(settings.stripe_key):
        remedy = "Copy it again from Stripe's dashboard (Developers, API keys), without quotes and blanks."
        yield _report.warning("PAYMENTS_STRIPE_API_KEY is not of Stripe's form (sk_test_..., rk_live_...).", remedy)
    if probe.events.data is None and not probe.events.forbidden:
        yield _unusable(probe.events.refusal, settings)
        return
    yield _account(probe.account, settings)
    yield from _rights(probe)
    if probe.clock_lead is not None:
        yield from judge_clock(probe.clock_lead)


def judge_clock(lead: timedelta) -> Iterator[Finding]:
    """Judge Stripe's clock against ours: a signature that is too old or too new is refused."""
    seconds = lead.total_seconds()
    if abs(lead) <= CLOCK_WARNING:
        return
    message = f"This machine's clock is {abs(seconds):.0f} s {'behind' if seconds > 0 else 'ahead of'} Stripe's."
    remedy = f"Let NTP set it: webhooks whose signature is {TOLERANCE_SECONDS} s off are refused."
    yield _report.problem(message, remedy) if abs(lead) > CLOCK_PROBLEM else _report.warning(message, remedy)


def _account(account: Probe, settings: Settings) -> Finding:
    live = "_live_" in settings.stripe_key
    where = f" at {settings.stripe_api_base}, which stands in for it" if settings.stripe_api_base else ""
    mode = f"Stripe{where} takes the key, in {'live' if live else 'test'} mode"
    if account.data is None:
        return _report.ok(f"{mode}; the key may not read the account.")
    named = f"account {account.data['id']}"
    if live and account.data.get("charges_enabled") is False:
        return _report.problem(
            f"{mode}, and the {named} may not take payments yet.",
            "Finish the account's activation in Stripe's dashboard.",
        )
    return _report.ok(f"{mode}, for the {named}.")


def _rights(probe: AccountProbe) -> Iterator[Finding]:
    if probe.lacking:
        yield _report.problem(
            f"The restricted key may not read {', '.join(probe.lacking)}.",
            "Edit the key in Stripe's dashboard; docs/operations.md has what it needs.",
        )
    for account, refusal in probe.connected.items():
        yield _report.problem(
            f"Stripe does not let this key act for the connected account {account}{_words(refusal)}.",
            "Correct the account in PAYMENTS_CALLERS_FILE, or connect it again.",
        )


def _unusable(refusal: Refusal, settings: Settings) -> Finding:
    if refusal.status == UNAUTHORIZED:
        return _report.problem(
            f"Stripe refuses the key{_words(refusal)}.",
            "Copy the key again from Stripe's dashboard (Developers, API keys) into PAYMENTS_STRIPE_API_KEY: it may "
            "have been rolled, or belong to another account.",
        )
    if refusal.status:
        return _report.problem(
            f"Stripe answers {refusal.status}{_words(refusal)}.",
            "Look at status.stripe.com; after a 429, wait a minute.",
        )
    if settings.stripe_api_base:
        remedy = "Start `payments sandbox`, or correct PAYMENTS_STRIPE_API_BASE."
        return _report.problem(f"Nothing answers at {settings.stripe_api_base}.", remedy)
    return _report.problem(
        "Stripe (api.stripe.com) does not answer.",
        "Is HTTPS to the outside open (a firewall, a network policy, a proxy)? Then look at status.stripe.com.",
    )


def _endpoints(endpoints: Probe, settings: Settings) -> Iterator[Finding]:
    if endpoints.data is not None:
        yield from judge_endpoints(endpoints.data["data"], settings)
    elif endpoints.forbidden:
        message = "The key may not read webhook endpoints, so whether one leads here is not known."
        yield Reporter("webhooks").ok(message)


def _words(refusal: Refusal) -> str:
    said = " ".join(mask_secrets(refusal.message).split()).rstrip(".")
    return f" ({said})" if said else ""
