"""Runs the doctor and prints what it found, one line a finding, with what to do beneath it."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
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


def _print(findings: Sequence[Finding]) -> None:
    console = output()
    if console.is_terminal:
        console.print(_table(findings))
    else:
        _print_lines(console, findings)
    counts = {level: sum(finding.level is level for finding in findings) for level in (Level.PROBLEM, Level.WARNING)}
    console.print(_summary(counts[Level.PROBLEM], counts[Level.WARNING]))


def _table(findings: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in ("level", "check"):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        told = Text(finding.message)
        if finding.remedy:
            told.append(f"\nTo do: {finding.remedy}", style="dim")
        table.add_row(Text(finding.level, style=STYLES[finding.level]), finding.check, told)
    return table


def _print_lines(console: Console, findings: Sequence[Finding]) -> None:
    """Keep each finding on a line, for grep."""
    for finding in findings:
        console.print(f"{finding.level:<9}{finding.check:<10} {finding.message}", soft_wrap=True)
        if finding.remedy:
            console.print(f"{'':<20}To do: {finding.remedy}", soft_wrap=True)


def _summary(problems: int, warnings: int) -> str:
    if not problems and not warnings:
        return "All is well."
    return f"{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
