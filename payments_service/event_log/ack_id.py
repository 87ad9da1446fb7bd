"""The opaque name of one delivery: which event, handed out under which epoch of its shard, as which of its session's.

Pure. It names, and proves nothing: whether the delivery is still its member's is decided by what the service holds.
"""

import struct
import zlib
from typing import NamedTuple

_LAYOUT = struct.Struct(">BHQQI")
_CHECK = struct.Struct(">I")
_VERSION = 1


class AckId(NamedTuple):
    """One delivery."""

    shard: int
    position: int
    epoch: int
    serial: int


def encode_ack_id(ack_id: AckId) -> bytes:
    """Give the bytes that a member sends back."""
    body = _LAYOUT.pack(_VERSION, *ack_id)
    return body + _CHECK.pack(zlib.crc32(body))


def decode_ack_id(token: bytes) -> AckId | None:
    """Read a member's answer; None where this service has never sent such bytes."""
    body = token[: _LAYOUT.size]
    if len(token) != _LAYOUT.size + _CHECK.size or _CHECK.pack(zlib.crc32(body)) != token[_LAYOUT.size :]:
        return None
    version, *fields = _LAYOUT.unpack(body)
    return AckId(*fields) if version == _VERSION else None
