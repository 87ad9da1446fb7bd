"""Judges the broker: whether it answers, and in time to make a payment quick; nothing is lost without it."""

from payments_service.actors.broker_probe import BrokerSilentError, ask_broker
from payments_service.diagnosis.finding import Finding, Reporter
from payments_service.errors import ConfigurationError
from payments_service.observability.logs import mask_secrets
from payments_service.settings import Settings

SLOW_SECONDS = 1.0
_report = Reporter("broker")


async def check_broker(settings: Settings) -> list[Finding]:
    """Ask it."""
    if settings.broker_url.startswith("memory:"):
        return [_report.ok("memory://, within `payments up`.")]
    at = mask_secrets(settings.broker_url)
    try:
        seconds = await ask_broker(settings.broker_url)
    except ConfigurationError as error:
        return [_report.problem(error.message, "Correct PAYMENTS_BROKER_URL, or install what it needs.")]
    except BrokerSilentError as error:
        return [
            _report.problem(
                f"{at} does not answer: {mask_secrets(error.message).rstrip('.')}.",
                "Start it, or correct PAYMENTS_BROKER_URL. Nothing is lost meanwhile: sweeps do the work, later and "
                "slower.",
            )
        ]
    return [judge_answer(at, seconds)]


def judge_answer(at: str, seconds: float) -> Finding:
    """Judge how long it took to connect and to be answered."""
    if seconds > SLOW_SECONDS:
        remedy = "Look at its load and at the network: what it does not carry within 2 s is swept up instead."
        return _report.warning(f"{at} took {seconds:.1f} s to answer.", remedy)
    return _report.ok(f"{at} answers.")
