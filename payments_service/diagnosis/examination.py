"""Runs all checks at the same time, each within a limit; whatever one does, the others are heard."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from payments_service.diagnosis.finding import Finding, Reporter
from payments_service.errors import PaymentsError
from payments_service.settings import Settings

CHECK_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Check:
    """One look at the installation, and the settings without which it would look at something else."""

    name: str
    look: Callable[[Settings], Awaitable[Iterable[Finding]]]
    needs: tuple[str, ...] = ()


async def examine(
    settings: Settings, wrong: Mapping[str, str], checks: Sequence[Check], limit_seconds: float = CHECK_SECONDS
) -> list[Finding]:
    """Give the findings in the order of the checks."""
    found = await asyncio.gather(*(_looked(check, settings, wrong, limit_seconds) for check in checks))
    return [finding for findings in found for finding in findings]


async def _looked(check: Check, settings: Settings, wrong: Mapping[str, str], limit_seconds: float) -> list[Finding]:
    report = Reporter(check.name)
    missing = [f"PAYMENTS_{name.upper()}" for name in check.needs if name in wrong]
    if missing:
        return [report.warning(f"Not looked at, because {' and '.join(missing)} is wrong.", "Correct it first.")]
    try:
        async with asyncio.timeout(limit_seconds):
            return list(await check.look(settings))
    except TimeoutError:
        message = f"It took longer than {limit_seconds:g} s."
        return [report.problem(message, "Something on the way does not answer; look at the other lines.")]
    except PaymentsError as error:
        return [report.problem(error.message, "Correct what is named.")]
    except Exception as error:  # noqa: BLE001, RUF100  # a fault of one check must not hide what the others say
        message = f"The check itself failed: {type(error).__name__}."
        return [report.problem(message, "This is a fault of `payments doctor`; please report it.")]
