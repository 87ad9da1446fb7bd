"""The alert rules and the dashboard, and what each of their expressions asks of a scrape."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import promql_parser as promql
import yaml

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy" / "prometheus"
TARGET_LABELS = frozenset({"job", "instance"})
"""What Prometheus itself puts on whatever it scrapes."""


@dataclass(frozen=True)
class Alert:
    """One rule."""

    name: str
    expression: str
    severity: str
    annotations: dict[str, str]
    has_duration: bool


@dataclass(frozen=True)
class Matcher:
    """A condition on a label."""

    label: str
    pattern: re.Pattern[str]
    is_negative: bool

    def holds(self, labels: dict[str, str]) -> bool:
        """Say whether a series has the label, with such a value."""
        return self.label in labels and bool(self.pattern.fullmatch(labels[self.label])) != self.is_negative


@dataclass(frozen=True)
class Selected:
    """A metric that an expression reads, and the labels by which its result is grouped or matched."""

    metric: str
    matchers: tuple[Matcher, ...]
    grouping: frozenset[str]


def read_alerts() -> list[Alert]:
    """Read the file."""
    groups = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]
    return [
        Alert(rule["alert"], rule["expr"], rule["labels"]["severity"], rule["annotations"], "for" in rule)
        for group in groups
        for rule in group["rules"]
    ]


def read_panels() -> dict[str, list[str]]:
    """Read the dashboard's expressions, by the titles of their panels."""
    panels = json.loads((DEPLOY / "dashboard.json").read_text())["panels"]
    return {panel["title"]: [target["expr"] for target in panel.get("targets", [])] for panel in panels}


def selections(expression: str) -> list[Selected]:
    """List what a PromQL expression reads."""
    return list(_read(promql.parse(expression), frozenset()))


def _read(node: promql.Expr, grouping: frozenset[str]) -> Iterator[Selected]:
    if isinstance(node, promql.VectorSelector):
        yield Selected(node.name or "", tuple(map(_matcher, node.matchers.matchers)), grouping)
    if isinstance(node, promql.AggregateExpr) and node.modifier:
        grouping |= set(node.modifier.labels)
    for part in _parts(node):
        yield from _read(part, grouping)


def _parts(node: promql.Expr) -> list[promql.Expr]:
    match node:
        case promql.MatrixSelector():
            return [node.vector_selector]
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr():
            return [node.expr]
        case promql.Call():
            return node.args
        case promql.BinaryExpr():
            assert node.modifier is None or node.modifier.matching is None, "the test does not know on() and ignoring()"
            return [node.lhs, node.rhs]
        case promql.VectorSelector() | promql.NumberLiteral() | promql.StringLiteral():
            return []
        case _:
            raise AssertionError(f"the test does not know {type(node).__name__}")


def _matcher(matcher: promql.Matcher) -> Matcher:
    is_pattern = matcher.op in (promql.MatchOp.Re, promql.MatchOp.NotRe)
    is_negative = matcher.op in (promql.MatchOp.NotEqual, promql.MatchOp.NotRe)
    return Matcher(matcher.name, re.compile(matcher.value if is_pattern else re.escape(matcher.value)), is_negative)
