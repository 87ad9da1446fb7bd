"""What can be bought, and the lines of a checkout."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from payments_client.enumerations import Interval
from payments_client.money import Money


@dataclass(frozen=True, slots=True)
class Course:
    """A course, granted by the payments service itself."""

    course_id: str
    cohort_id: str = ""


@dataclass(frozen=True, slots=True)
class DigitalGood:
    """Something to download or to unlock; its fulfillment carries a licence key."""

    sku: str
    seats: int = 0
    """0 means 1."""


@dataclass(frozen=True, slots=True)
class Service:
    """Something done by people; the service that owns it completes the fulfillment."""

    service_id: str
    scheduled_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Custom:
    """A kind of purchase that the owning service named."""

    type: str
    """Such as "gift_card"; none of the built-in kinds' names."""
    custom_id: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


Purchase = Course | DigitalGood | Service | Custom


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Makes a line a subscription."""

    interval: Interval
    interval_count: int = 1


@dataclass(frozen=True, slots=True)
class LineItem:
    """One line of a checkout: either a price that Stripe knows, or an amount and a name."""

    name: str = ""
    unit_amount: Money | None = None
    quantity: int = 1
    description: str = ""
    recurrence: Recurrence | None = None
    price_id: str = ""
    """Stripe's price_...; then nothing but the quantity goes with it."""

    def __post_init__(self) -> None:
        """Refuse what the contract cannot say; everything else is for the service to judge."""
        priced = bool(self.name or self.unit_amount or self.description or self.recurrence)
        if bool(self.price_id) == priced:
            raise ValueError("A line item has either a price_id, or a name and a unit_amount.")
