"""Stripe's form encoding (`line_items[0][price]=...`) into nested dictionaries of strings; it knows no types."""

import re
from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import parse_qsl

from stripe_sandbox.api_error import StripeApiError

FormValue: TypeAlias = "str | dict[str, FormValue]"

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")
MAX_FIELDS = 5000
# Deeper than anything of Stripe's; beyond it a hostile body would exhaust the stack.
_DEEPEST = 16


def parse_form(encoded: bytes) -> dict[str, FormValue]:
    """Read a form body or a query string; lists become dictionaries with numbers as keys."""
    try:
        text = encoded.decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise StripeApiError(f"Invalid request body: {error}") from error
    return nest(pairs)


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, FormValue]:
    """Put each value where its brackets say."""
    root: dict[str, FormValue] = {}
    for key, value in pairs:
        match = _KEY.fullmatch(key)
        if match is None or match[2].count("[") > _DEEPEST:
            raise StripeApiError(f"Invalid parameter name: {key[:100]}", code="parameter_unknown", param=key[:100])
        _place(root, [match[1], *_PART.findall(match[2])], value, key)
    return root


def _place(node: dict[str, FormValue], parts: list[str], value: str, key: str) -> None:
    for position, part in enumerate(parts):
        name = part if part else str(len(node))
        if position == len(parts) - 1:
            node[name] = value
            return
        child = node.setdefault(name, {})
        if not isinstance(child, dict):
            raise StripeApiError(f"Invalid object: {key}", param=key)
        node = child
