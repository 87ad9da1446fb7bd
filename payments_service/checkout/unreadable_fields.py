"""Finds what could be sent but not be kept and read back, anywhere in a request: NUL characters, impossible times."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.errors import FieldViolation


def unreadable_fields(message: Message, path: str = "") -> Iterator[FieldViolation]:
    """Name each such field by its path."""
    for field, value in message.ListFields():
        for place, part in _parts(field, value, f"{path}{field.name}"):
            if isinstance(part, Timestamp):
                yield from _time(part, place)
            elif isinstance(part, Message):
                yield from unreadable_fields(part, f"{place}.")
            elif isinstance(part, str) and "\0" in part:
                # PostgreSQL keeps no text that holds one.
                yield FieldViolation(place.replace("\0", ""), "holds a NUL character")


def _parts(field: FieldDescriptor, value: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # any field's
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        for key in sorted(value):
            yield f"{path}[{key}]", key
            yield f"{path}[{key}]", value[key]
    elif field.is_repeated:
        yield from ((f"{path}[{number}]", part) for number, part in enumerate(value))
    else:
        yield path, value


def _time(time: Timestamp, place: str) -> Iterator[FieldViolation]:
    try:
        time.ToJsonString()
    except ValueError:
        yield FieldViolation(place, "is no time between the years 1 and 9999")
