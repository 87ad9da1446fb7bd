"""The doctor beside a service that runs, and one that has just ended."""

import asyncio
from pathlib import Path

from payments_service.bootstrap import open_service
from payments_service.diagnosis.doctor import diagnose
from payments_service.diagnosis.finding import Level

from .shop import ALL, PATIENCE, settings_in


async def test_beside_a_service_that_runs_all_is_well_and_its_owner_is_seen(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with open_service(settings, ALL):
        async with asyncio.timeout(PATIENCE):
            found = await diagnose(settings, {}, [])
            while any(finding.level is not Level.OK for finding in found):  # duties are taken a moment later
                found = await diagnose(settings, {}, [])
    told = [finding.message for finding in found]
    after = [finding.message for finding in await diagnose(settings, {}, []) if finding.level is not Level.OK]

    assert any("open in `payments up`" in message for message in told)
    assert any("nothing has failed" in message for message in told)
    assert after == ["No worker is at work: no duty is held."]
