"""What the line items of a checkout must say, alone and together; what only Stripe knows of a price is left to it."""

from collections.abc import Iterator, Sequence

from payments_service.checkout.amounts import amount_problem, total_problem
from payments_service.contract.pb.payments.v1.order_pb2 import MODE_PAYMENT, MODE_SUBSCRIPTION, MODE_UNSPECIFIED, Mode
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.contract.pb.payments.v1.purchase_pb2 import LineItem, Recurrence
from payments_service.errors import FieldViolation

MOST_ITEMS = {MODE_PAYMENT: 100, MODE_SUBSCRIPTION: 40}
"""Of a subscription: 20 that recur and 20 that do not."""
MAX_QUANTITY = 999_999
INTERVALS = {
    Recurrence.INTERVAL_DAY: ("day", 1095),
    Recurrence.INTERVAL_WEEK: ("week", 156),
    Recurrence.INTERVAL_MONTH: ("month", 36),
    Recurrence.INTERVAL_YEAR: ("year", 3),
}
"""Stripe's name for each interval, and how many of them make Stripe's three years."""
Violations = Iterator[FieldViolation]


def checkout_mode(request: CreateCheckoutRequest) -> Mode.ValueType:
    """Give the mode: what was asked for, else a subscription where a price recurs."""
    if request.mode != MODE_UNSPECIFIED:
        return request.mode
    return MODE_SUBSCRIPTION if any(_recurs(item) for item in request.line_items) else MODE_PAYMENT


def line_item_violations(request: CreateCheckoutRequest) -> Violations:
    """Name what is wrong, in each item and in all of them together."""
    mode = checkout_mode(request)
    if mode not in MOST_ITEMS:
        yield FieldViolation("mode", "must be MODE_PAYMENT or MODE_SUBSCRIPTION, or be left out")
        return
    items = request.line_items
    if not items:
        yield FieldViolation("line_items", "needs at least one item")
    if len(items) > MOST_ITEMS[mode]:
        yield FieldViolation("line_items", f"has {len(items)} items, Stripe takes {MOST_ITEMS[mode]}")
    for number, item in enumerate(items):
        yield from _item(item, f"line_items[{number}]", mode)
    yield from _together(items, mode)


def _item(item: LineItem, path: str, mode: Mode.ValueType) -> Violations:
    if not 0 <= item.quantity <= MAX_QUANTITY:
        yield FieldViolation(f"{path}.quantity", f"must be between 1 and {MAX_QUANTITY}; 0 means 1")
    match item.WhichOneof("price"):
        case "price_id":
            if not item.price_id.strip():
                yield FieldViolation(f"{path}.price_id", "is empty: name one of Stripe's prices (price_...)")
        case "price_data":
            yield from _price_data(item, f"{path}.price_data", mode)
        case None:
            yield FieldViolation(path, "needs a price_id or a price_data")


def _price_data(item: LineItem, path: str, mode: Mode.ValueType) -> Violations:
    data = item.price_data
    if not data.product_name.strip():
        yield FieldViolation(f"{path}.product_name", "is required: the buyer sees it on the checkout page")
    problem = amount_problem(data.unit_amount.currency_code, data.unit_amount.minor_units)
    if problem:
        yield FieldViolation(f"{path}.unit_amount.{problem.part}", problem.text)
    if _recurs(item):
        yield from _recurrence(data.recurrence, f"{path}.recurrence", mode)


def _recurrence(recurrence: Recurrence, path: str, mode: Mode.ValueType) -> Violations:
    if mode == MODE_PAYMENT:
        yield FieldViolation(path, "cannot be charged in MODE_PAYMENT: leave it out or use MODE_SUBSCRIPTION")
    if recurrence.interval not in INTERVALS:
        yield FieldViolation(f"{path}.interval", "must be INTERVAL_DAY, _WEEK, _MONTH or _YEAR")
        return
    name, most = INTERVALS[recurrence.interval]
    if not 0 <= recurrence.interval_count <= most:
        yield FieldViolation(f"{path}.interval_count", f"must be between 1 and {most} for a {name}: Stripe's 3 years")


def _together(items: Sequence[LineItem], mode: Mode.ValueType) -> Violations:
    """Look at the items whose price is here; those with a price_id are Stripe's to judge."""
    priced = [item for item in items if item.WhichOneof("price") == "price_data"]
    currencies = sorted({item.price_data.unit_amount.currency_code.upper() for item in priced})
    if len(currencies) > 1:
        yield FieldViolation("line_items", f"mixes the currencies {', '.join(currencies)}; a checkout has one")
    if len(currencies) == 1:
        problem = total_problem(currencies[0], sum(_amount(item) for item in priced))
        # What else is in the basket makes it more; a subscription's small invoice is carried over to the next one.
        complete = len(priced) == len(items) and mode == MODE_PAYMENT
        if problem and (complete or problem.is_too_much):
            yield FieldViolation("line_items", f"the total {problem.text}")
    if mode == MODE_SUBSCRIPTION and len(priced) == len(items) > 0 and not any(_recurs(item) for item in priced):
        yield FieldViolation("line_items", "MODE_SUBSCRIPTION needs an item that recurs")


def _amount(item: LineItem) -> int:
    return item.price_data.unit_amount.minor_units * max(item.quantity, 1)


def _recurs(item: LineItem) -> bool:
    return item.price_data.HasField("recurrence")
