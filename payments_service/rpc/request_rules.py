"""What holds for every request, whatever it asks for: it can be read, and each value is one that its type allows.

A servicer behind it sees no unknown enum number, no impossible time and no text that a database would refuse.
"""

from collections.abc import Iterator
from typing import TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.errors import FieldViolation, InvalidRequestError

M = TypeVar("M", bound=Message)


def read_request(kind: type[M], data: bytes) -> M:
    """Parse a request and check its values; raises InvalidRequestError."""
    try:
        request = kind.FromString(data)
    except DecodeError as error:
        violation = FieldViolation("", f"the request cannot be read as a {kind.DESCRIPTOR.full_name}")
        raise InvalidRequestError([violation]) from error
    violations = list(_violations(request, ""))
    if violations:
        raise InvalidRequestError(violations)
    return request


def require_field(field: str, value: str) -> None:
    """Raise InvalidRequestError where a field is left empty without which nothing can be done."""
    if not value.strip():
        raise InvalidRequestError([FieldViolation(field, "is required")])


def _violations(message: Message, prefix: str) -> Iterator[FieldViolation]:
    for field, value in message.ListFields():
        path = f"{prefix}{field.name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key in value:
                yield from _text_violations(str(key), f"{path} key")
                yield from _value_violations(field.message_type.fields_by_name["value"], value[key], f"{path}[{key}]")
        elif field.is_repeated:
            for number, item in enumerate(value):
                yield from _value_violations(field, item, f"{path}[{number}]")
        else:
            yield from _value_violations(field, value, path)


def _value_violations(field: FieldDescriptor, value: object, path: str) -> Iterator[FieldViolation]:
    match value:
        case Timestamp() | Duration():
            yield from _time_violations(value, path)
        case Message():
            yield from _violations(value, f"{path}.")
        case str():
            yield from _text_violations(value, path)
        case int() if field.enum_type is not None and value not in field.enum_type.values_by_number:
            yield FieldViolation(path, f"{value} is no {field.enum_type.name} that this version knows")


def _time_violations(value: Timestamp | Duration, path: str) -> Iterator[FieldViolation]:
    try:
        value.ToJsonString()
    except ValueError:
        yield FieldViolation(path, f"is no valid {type(value).__name__.lower()}")


def _text_violations(text: str, path: str) -> Iterator[FieldViolation]:
    if "\0" in text:
        yield FieldViolation(path.replace("\0", ""), "holds a NUL character")
