"""Whatever one check does, the others are heard, and none is waited for without end."""

import asyncio
from collections.abc import Iterable

from payments_service.diagnosis.examination import Check, examine
from payments_service.diagnosis.finding import Finding, Level, Reporter
from payments_service.settings import Settings, read_settings


async def well(_: Settings) -> Iterable[Finding]:
    return [Reporter("well").ok("It is.")]


async def hangs(_: Settings) -> Iterable[Finding]:
    await asyncio.Event().wait()
    raise AssertionError


async def fails(_: Settings) -> Iterable[Finding]:
    raise ZeroDivisionError("geheim")


async def test_a_check_that_hangs_or_fails_hides_no_other() -> None:
    checks = [Check("hangs", hangs), Check("fails", fails), Check("well", well)]

    found = await examine(read_settings(), {}, checks, limit_seconds=0.05)

    assert [(each.check, each.level) for each in found] == [
        ("hangs", Level.PROBLEM),
        ("fails", Level.PROBLEM),
        ("well", Level.OK),
    ]
    assert "ZeroDivisionError" in found[1].message
    assert "geheim" not in found[1].message


async def test_a_check_whose_setting_is_wrong_does_not_look_at_something_else() -> None:
    [found] = await examine(read_settings(), {"broker_url": "wrong"}, [Check("well", well, ("broker_url",))])

    assert found.message == "Not looked at, because PAYMENTS_BROKER_URL is wrong."
