"""Reads findings as a test asks for them."""

from collections.abc import Iterable

from payments_service.diagnosis.finding import Finding, Level


def messages(findings: Iterable[Finding], *levels: Level) -> list[str]:
    """Give the messages of some levels; all of them but OK where none is named."""
    wanted = levels or (Level.WARNING, Level.PROBLEM)
    return [finding.message for finding in findings if finding.level in wanted]


def only(findings: Iterable[Finding], said: str) -> Finding:
    """Give the one finding that says this."""
    [found] = [finding for finding in findings if said in finding.message]
    return found
