"""What each kind of purchase must say, and what it grants; a new kind adds its line to each table."""

from collections.abc import Callable, Iterator

from payments_service.contract.pb.payments.v1.purchase_pb2 import Purchase
from payments_service.errors import FieldViolation
from payments_service.stripe_gateway.metadata import BUILT_IN_TYPES

REQUIRED = {"course": "course_id", "digital_good": "sku", "service": "service_id", "custom": "type"}
_RESOURCES: dict[str, Callable[[Purchase], str]] = {
    "course": lambda purchase: f"courses/{purchase.course.course_id}",
    "digital_good": lambda purchase: f"digital_goods/{purchase.digital_good.sku}",
}


def purchase_violations(purchase: Purchase) -> Iterator[FieldViolation]:
    """Name what is missing or wrong in a purchase."""
    kind = purchase.WhichOneof("kind")
    if kind is None:
        yield FieldViolation("purchase", "is required: set course, digital_good, service or custom")
        return
    required = REQUIRED[kind]
    if not getattr(getattr(purchase, kind), required).strip():
        yield FieldViolation(f"purchase.{kind}.{required}", "is required")
    if kind == "digital_good" and purchase.digital_good.seats < 0:
        yield FieldViolation("purchase.digital_good.seats", "is negative")
    if kind == "custom" and purchase.custom.type in BUILT_IN_TYPES:
        yield FieldViolation("purchase.custom.type", f"{purchase.custom.type!r} is a kind of its own: set that one")
    if kind == "custom" and not purchase.custom.type.isprintable():
        yield FieldViolation("purchase.custom.type", "holds a character that cannot be printed")


def resource_of(purchase: Purchase) -> str | None:
    """Name what a purchase entitles to, None where it entitles to nothing here."""
    kind = purchase.WhichOneof("kind") or ""
    name = _RESOURCES.get(kind)
    return name(purchase) if name else None


def quantity_of(purchase: Purchase) -> int:
    """Give the seats."""
    return max(purchase.digital_good.seats, 1)
