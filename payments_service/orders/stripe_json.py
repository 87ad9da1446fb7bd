"""Reads Stripe's JSON as it comes, whatever the API version: a missing or strange value reads as nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def mapping(value: object) -> Mapping[str, Any]:
    """Take an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def rows(value: object) -> list[Mapping[str, Any]]:
    """Take a list's objects: Stripe's `{"object": "list", "data": [...]}`, or a plain list."""
    data = value.get("data") if isinstance(value, Mapping) else value
    return [row for row in data if isinstance(row, Mapping)] if isinstance(data, list) else []


def named_id(value: object) -> str:
    """Take an id, or the id of an expanded object."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) else ""


def text(value: object) -> str:
    """Take a text, else an empty one."""
    return value if isinstance(value, str) else ""


def whole(value: object) -> int | None:
    """Take a whole number; a boolean is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def instant(seconds: int | None) -> datetime | None:
    """Take Stripe's seconds; none, or nonsense, is no instant."""
    if not seconds or not 0 < seconds < 32_503_680_000:
        return None
    return datetime.fromtimestamp(seconds, UTC)
