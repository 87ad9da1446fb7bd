"""What is wrong with the key, the account, its clock and its webhook endpoints is found by asking Stripe."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from payments_service.diagnosis.finding import Finding, Level
from payments_service.diagnosis.stripe_check import check_stripe
from payments_service.diagnosis.webhook_check import judge_endpoints, judge_secrets
from payments_service.orders.observation import FOLDED_TYPES
from payments_service.settings import Settings, read_settings
from stripe_sandbox.configuration import SandboxConfig
from stripe_sandbox.sandbox_server import Sandbox, open_sandbox

from .findings import messages, only
from .restricted_stripe import restricted_stripe

KEY, LIVE = "sk_test_123", "sk_live_123"
PUBLIC = "https://pay.example"
ENDPOINT = {"url": f"{PUBLIC}/webhooks/stripe", "status": "enabled", "enabled_events": ["*"], "api_version": None}


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(SandboxConfig(port=0, database=tmp_path / "sandbox.db")) as opened:
        yield opened


async def look(base: str, key: str = KEY, **changes: object) -> list[Finding]:
    return await check_stripe(read_settings(stripe_api_key=key, stripe_api_base=base, **changes))


async def test_a_key_that_is_taken_is_well_and_its_account_is_named(sandbox: Sandbox) -> None:
    findings = await look(sandbox.url, stripe_webhook_secrets="whsec_1")

    assert messages(findings) == []
    assert only(findings, "in test mode, for the account acct_sandbox").level is Level.OK


async def test_a_key_that_is_refused_is_a_problem_and_stays_secret(sandbox: Sandbox) -> None:
    findings = await look(sandbox.url, LIVE)

    refused = only(findings, "Stripe refuses the key")
    assert refused.level is Level.PROBLEM
    assert "it may have been rolled" in refused.remedy
    assert LIVE not in refused.message


async def test_without_a_key_nothing_is_asked() -> None:
    assert messages(await check_stripe(read_settings())) == []


async def test_a_restricted_key_is_told_what_it_lacks(tmp_path: Path) -> None:
    forbidden = {"/v1/refunds", "/v1/events", "/v1/webhook_endpoints", "/v1/account"}
    async with restricted_stripe(forbidden) as base:
        findings = await look(base, "rk_test_geheim")

    assert messages(findings) == ["The restricted key may not read Events, Refunds."]
    assert only(findings, "may not read webhook endpoints").level is Level.OK
    assert "geheim" not in " ".join(finding.message for finding in findings)


async def test_a_connected_account_that_is_closed_to_us_is_named(tmp_path: Path) -> None:
    organizations = '[[organizations]]\nid = "org_7"\nstripe_account = "acct_closed"\n'
    caller = '[[callers]]\nname = "a"\ntoken_sha256 = []\nrole = "caller"\norganizations = ["*"]\n'
    (tmp_path / "callers.toml").write_text(f'{caller}purchase_types = ["*"]\n{organizations}')
    async with restricted_stripe({"acct_closed"}) as base:
        findings = await look(base, callers_file=tmp_path / "callers.toml")

    [found] = messages(findings)
    assert found.startswith("Stripe does not let this key act for the connected account acct_closed")


async def test_a_live_account_that_may_not_take_payments_is_a_problem() -> None:
    async with restricted_stripe(set()) as base:
        findings = await look(base, LIVE)

    assert only(findings, "may not take payments yet").level is Level.PROBLEM


@pytest.mark.parametrize(("lead", "level"), [(-330, Level.PROBLEM), (330, Level.PROBLEM), (90, Level.WARNING)])
async def test_a_clock_that_is_off_from_stripes_is_found(lead: int, level: Level) -> None:
    async with restricted_stripe(set(), timedelta(seconds=lead)) as base:
        findings = await look(base)

    found = only(findings, "This machine's clock is")
    assert found.level is level
    assert ("behind" if lead > 0 else "ahead of") in found.message


async def test_where_nothing_answers_the_firewall_is_thought_of() -> None:
    [found] = await look("http://127.0.0.1:1")

    assert found.level is Level.PROBLEM
    assert "Nothing answers at http://127.0.0.1:1" in found.message


async def test_an_endpoint_made_at_stripe_is_recognized(sandbox: Sandbox) -> None:
    url = "http://127.0.0.1:8080/webhooks/stripe"
    form = {"url": url, "enabled_events[]": "checkout.session.completed"}
    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {KEY}"}) as http,
        http.post(f"{sandbox.url}/v1/webhook_endpoints", data=form) as answer,
    ):
        assert answer.status == 200

    found = only(await look(sandbox.url), f"Stripe's endpoint {url} does not send")

    assert "invoice.paid" in found.message
    assert "checkout.session.completed," not in found.message


def judged(endpoint: dict[str, Any] | None, key: str = LIVE, public_url: str = PUBLIC) -> list[tuple[Level, str]]:
    settings = read_settings(stripe_api_key=key, public_url=public_url)
    found = judge_endpoints([endpoint] if endpoint else [], settings)
    return [(each.level, each.message) for each in found if each.level is not Level.OK]


def test_an_endpoint_that_sends_all_is_well() -> None:
    assert judged(ENDPOINT) == []
    assert judged(ENDPOINT | {"enabled_events": sorted(FOLDED_TYPES), "api_version": "2026-10-28.endive"}) == []
    assert judged(ENDPOINT | {"url": "https://hooks.example/webhooks/stripe"}) == []


def test_an_endpoint_that_is_disabled_unknown_or_missing_is_found() -> None:
    assert judged(ENDPOINT | {"status": "disabled"})[0][0] is Level.PROBLEM
    assert "API version 2030-01-01.x" in judged(ENDPOINT | {"api_version": "2030-01-01.x"})[0][1]
    assert judged(None)[0][0] is Level.PROBLEM
    assert judged(None, KEY)[0][0] is Level.WARNING
    assert judged(None, KEY, public_url="") == []
    assert "as often" in [f.message for f in judge_endpoints([ENDPOINT, ENDPOINT], _live())][-1]


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        (("whsec_'x'",), "Secret 1 of PAYMENTS_STRIPE_WEBHOOK_SECRETS is not of Stripe's form"),
        (("whsec_a", "whsec_a"), "one secret twice"),
        (("whsec_a", "whsec_b", "whsec_c", "whsec_d"), "has 4 secrets"),
    ],
)
def test_secrets_are_judged_by_form_and_number(secrets: tuple[str, ...], said: str) -> None:
    [found] = messages(judge_secrets(read_settings(stripe_webhook_secrets=secrets)))

    assert said in found


def _live() -> Settings:
    return read_settings(stripe_api_key=LIVE, public_url=PUBLIC)
