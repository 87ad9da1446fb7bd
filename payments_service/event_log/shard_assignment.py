"""Decides which part of a subscriber's work an order belongs to, and which member does which part.

Pure, and the same in every process: members agree without talking to each other.
"""

import hashlib
import zlib
from collections.abc import Collection


def shard_of(ordering_key: str, shard_count: int) -> int:
    """Give the shard of an order: all its events are in one, whoever asks and whenever."""
    return zlib.crc32(ordering_key.encode()) % shard_count


def assign(shard_count: int, members: Collection[str]) -> dict[str, list[int]]:
    """Share the shards out evenly; a member that comes or goes moves few of the others' (bounded rendezvous)."""
    shares: dict[str, list[int]] = {member: [] for member in sorted(members)}
    if not shares:
        return shares
    least, larger = divmod(shard_count, len(shares))
    for shard in range(shard_count):
        taker = next(
            member
            for member in sorted(shares, key=lambda member: _weight(member, shard), reverse=True)
            if len(shares[member]) < least + (larger > 0)
        )
        shares[taker].append(shard)
        larger -= len(shares[taker]) > least
    return shares


def _weight(member: str, shard: int) -> bytes:
    return hashlib.blake2b(f"{shard}/{member}".encode(), digest_size=8).digest()
