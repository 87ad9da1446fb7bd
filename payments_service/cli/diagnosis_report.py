"""Runs the doctor and prints what it found, one line a finding, with what to do beneath it."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict

from rich.text import Text

from payments_service.cli.terminal import output
from payments_service.diagnosis.doctor import diagnose
from payments_service.diagnosis.finding import Finding, Level, is_healthy
from payments_service.settings import read_what_is_right

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}
EXIT_PROBLEM = 1


def report_diagnosis(*, as_json: bool) -> int:
    """Print everything; gives the exit code."""
    # What a driver logs of a server that is away is what the report says in better words.
    logging.disable(logging.CRITICAL)
    settings, wrong = read_what_is_right()
    findings = asyncio.run(diagnose(settings, wrong, os.environ))
    healthy = is_healthy(findings)
    if as_json:
        told = {"healthy": healthy, "findings": [asdict(finding) for finding in findings]}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        _print(findings)
    return 0 if healthy else EXIT_PROBLEM


def _print(findings: Iterable[Finding]) -> None:
    console = output()
    for finding in findings:
        level = Text(f"{finding.level:<9}", style=STYLES[finding.level])
        console.print(Text.assemble(level, f"{finding.check:<10} ", finding.message), soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"{'':<20}To do: {finding.remedy}", style="dim"), soft_wrap=True)
    counts = {level: sum(finding.level is level for finding in findings) for level in (Level.PROBLEM, Level.WARNING)}
    console.print(_summary(counts[Level.PROBLEM], counts[Level.WARNING]))


def _summary(problems: int, warnings: int) -> str:
    if not problems and not warnings:
        return "All is well."
    return f"{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
