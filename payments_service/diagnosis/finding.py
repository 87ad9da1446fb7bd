"""What a check has found: whether it is well, what is wrong and where, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: with a PROBLEM something does not work, or something promised does not hold."""

    OK = "OK"
    WARNING = "WARNING"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    level: Level
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Writes the findings of one check."""

    check: str

    def ok(self, message: str) -> Finding:
        """Say that something is as it should be."""
        return Finding(self.check, Level.OK, message)

    def warning(self, message: str, remedy: str) -> Finding:
        """Say what will or may go wrong."""
        return Finding(self.check, Level.WARNING, message, remedy)

    def problem(self, message: str, remedy: str) -> Finding:
        """Say what is wrong."""
        return Finding(self.check, Level.PROBLEM, message, remedy)


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Say whether nothing is wrong; warnings are not."""
    return all(finding.level is not Level.PROBLEM for finding in findings)
