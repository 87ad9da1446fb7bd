"""Ids: a prefix that says of what, and a UUIDv7, so that they sort by the time they were made."""

import secrets
import time


def new_id(prefix: str) -> str:
    """Make an id such as `ord_019ab...`; 48 bits of milliseconds, 74 of chance."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{prefix}_{value:032x}"
