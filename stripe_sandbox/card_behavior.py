"""What Stripe's test cards do, by the names of their tokens; a payment method remembers of which one it was made."""

import re
from dataclasses import dataclass
from types import MappingProxyType

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Ledger

KIND = "card_behavior"
# `pm_card_visa`, `tok_visa_chargeDeclined`, `pm_card_createDispute`: the last word says what the card does.
_NAME = re.compile(r"(?:pm_card|tok)_(?:[a-z]+_)?(\w+)")
_GOOD_NAMES = frozenset(
    ["visa", "mastercard", "amex", "discover", "diners", "jcb", "unionpay", "debit", "prepaid", "us", "bypassPending"]
)
# Stripe's test accounts whose debits fail.
_FAILING_IBANS = frozenset(
    ["AT861904300235473202", "AT051904300235473205", "DE62370400440532013001", "IT60X0542811101000000123456"]
)


@dataclass(frozen=True)
class CardBehavior:
    """What happens to a payment by this card."""

    declines: bool = False
    needs_action: bool = False
    """The bank wants to see the buyer first, who is not there when an invoice is charged."""
    dispute: str = ""
    """`chargeback` or `inquiry`: it is disputed as soon as it is paid."""
    refund: str = "succeeded"
    """The status that its refund begins with."""
    refund_becomes: str = ""
    """The status that it has a while later, where that is another."""


GOOD = CardBehavior()
_DECLINED = CardBehavior(declines=True)
_DISPUTED, _INQUIRED = CardBehavior(dispute="chargeback"), CardBehavior(dispute="inquiry")
_BEHAVIORS = MappingProxyType(
    {
        "chargeCustomerFail": _DECLINED,
        "threeDSecure2Required": CardBehavior(needs_action=True),
        "createDispute": _DISPUTED,
        "createDisputeProductNotReceived": _DISPUTED,
        "createDisputeInquiry": _INQUIRED,
        "pendingRefund": CardBehavior(refund="pending", refund_becomes="succeeded"),
        "refundFail": CardBehavior(refund_becomes="failed"),
    }
)


def behavior_named(name: str) -> CardBehavior | None:
    """Find a test card by its name; None for a name that is none, or not played."""
    match = _NAME.fullmatch(name)
    word = match[1] if match else ""
    if word.startswith("chargeDeclined"):
        return _DECLINED
    return GOOD if word in _GOOD_NAMES else _BEHAVIORS.get(word)


def remember_behavior(ledger: Ledger, method_id: str, name: str) -> None:
    """Keep which test card a payment method was made of."""
    ledger.put({"id": method_id, "name": name}, KIND)


def behavior_of(ledger: Ledger, method_id: object) -> CardBehavior:
    """Give what a payment method does; one of no test card is good."""
    known: JsonObject = ledger.find(KIND, method_id) or {}
    return behavior_named(known.get("name", "")) or GOOD


def iban_fails(ledger: Ledger, method_id: str) -> bool:
    """Tell whether a payment method is one of Stripe's test accounts whose debits fail."""
    known: JsonObject = ledger.find(KIND, method_id) or {}
    return known.get("name") in _FAILING_IBANS
