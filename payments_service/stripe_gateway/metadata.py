"""Flattens a typed purchase into Stripe's metadata and reads it back; it never guesses at what it cannot read.

It follows the proto's descriptors, so a new kind of purchase needs no line here.
Limits of Stripe (docs.stripe.com/metadata): 50 keys, 40 characters a key without square brackets, 500 a value;
an empty value deletes its key, so it cannot be stored.
"""

from collections.abc import Iterator, Mapping
from typing import cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.contract.pb.payments.v1.purchase_pb2 import Purchase
from payments_service.errors import FieldViolation, InvalidRequestError

SCHEMA_KEY = "payments_schema"
SCHEMA_VERSION = "1"
BUILT_IN_TYPES = frozenset(field.name for field in Purchase.DESCRIPTOR.fields if field.name != "custom")
MAX_KEYS = 50
MAX_KEY_LENGTH = 40
MAX_VALUE_LENGTH = 500
_INTEGERS = frozenset({FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64})


def encode_purchase(purchase: Purchase, *, organization_id: str, user_id: str, order_id: str) -> dict[str, str]:
    """Give the metadata of a checkout; raises InvalidRequestError naming each field that Stripe could not hold."""
    pairs = {
        SCHEMA_KEY: SCHEMA_VERSION,
        "type": purchase_type(purchase),
        "organization_id": organization_id,
        "user_id": user_id,
        "order_id": order_id,
    }
    fields = {"type": "purchase.custom.type"}
    for key, value, field in _flattened(purchase):
        pairs[key] = value
        fields[key] = field
    violations = list(_violations(pairs, fields))
    if violations:
        raise InvalidRequestError(violations)
    return pairs


def decode_purchase(metadata: Mapping[str, str]) -> Purchase:
    """Read the purchase back; raises InvalidRequestError naming the key that is unknown or malformed."""
    kind = metadata.get("type", "")
    if not kind:
        raise InvalidRequestError([FieldViolation("type", "is missing from the metadata")])
    purchase = Purchase()
    branch = getattr(purchase, kind if kind in BUILT_IN_TYPES else "custom")
    branch.SetInParent()
    if kind not in BUILT_IN_TYPES:
        purchase.custom.type = kind
    for key, value in metadata.items():
        if key.startswith("purchase."):
            _assign(branch, key, value)
    return purchase


def purchase_type(purchase: Purchase) -> str:
    """Name the type: the kind's own name, or a custom purchase's; empty where no kind is set."""
    kind = purchase.WhichOneof("kind") or ""
    return purchase.custom.type if kind == "custom" else kind


def _flattened(purchase: Purchase) -> Iterator[tuple[str, str, str]]:
    """Yield key, value and the request's field that it comes from."""
    kind = purchase.WhichOneof("kind")
    if kind is None:
        return
    for field, value in getattr(purchase, kind).ListFields():
        path = f"purchase.{kind}.{field.name}"
        if _is_map(field):
            for name in sorted(value):
                yield f"purchase.{field.name}.{name}", value[name], f"{path}[{name}]"
        elif not (kind == "custom" and field.name == "type"):
            yield f"purchase.{field.name}", _text(value), path


def _violations(pairs: Mapping[str, str], fields: Mapping[str, str]) -> Iterator[FieldViolation]:
    if len(pairs) > MAX_KEYS:
        yield FieldViolation(
            "purchase", f"makes {len(pairs)} metadata keys, Stripe takes {MAX_KEYS}: send fewer attributes"
        )
    for key, value in pairs.items():
        field = fields.get(key, key)
        if len(key) > MAX_KEY_LENGTH:
            yield FieldViolation(field, f"its metadata key {key!r} is over {MAX_KEY_LENGTH} characters: shorten it")
        if "[" in key or "]" in key:
            yield FieldViolation(field, f"its metadata key {key!r} holds a square bracket: leave it out")
        if len(value) > MAX_VALUE_LENGTH:
            yield FieldViolation(field, f"has {len(value)} characters, Stripe takes {MAX_VALUE_LENGTH}: shorten it")
        if not value:
            yield FieldViolation(field, "is empty, and Stripe keeps no empty value: set it or leave it out")


def _assign(branch: Message, key: str, text: str) -> None:
    name, _, entry = key.removeprefix("purchase.").partition(".")
    field = cast("FieldDescriptor | None", branch.DESCRIPTOR.fields_by_name.get(name))
    if field is None or _is_map(field) != bool(entry) or (branch.DESCRIPTOR.name, name) == ("CustomPurchase", "type"):
        raise InvalidRequestError([FieldViolation(key, f"is no field of {branch.DESCRIPTOR.name}")])
    try:
        _set(branch, field, entry, text)
    except ValueError as error:
        raise InvalidRequestError([FieldViolation(key, f"cannot be read: {error}")]) from error


def _set(branch: Message, field: FieldDescriptor, entry: str, text: str) -> None:
    if entry:
        getattr(branch, field.name)[entry] = text
    elif field.message_type is not None:
        getattr(branch, field.name).FromJsonString(text)
    elif field.cpp_type in _INTEGERS:
        setattr(branch, field.name, int(text))
    else:
        setattr(branch, field.name, text)


def _text(value: object) -> str:
    return value.ToJsonString() if isinstance(value, Timestamp) else str(value)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
