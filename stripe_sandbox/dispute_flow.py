"""What becomes of a payment that a buyer's bank disputes: opened, money taken, won or lost, money back.

Every function runs inside the caller's transaction.
"""

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.balance_entry import dispute_entry
from stripe_sandbox.change import Change, WrongStateError
from stripe_sandbox.dispute_object import Claim, make_dispute
from stripe_sandbox.json_types import JsonObject

KIND = "dispute"
FEE = 1500
_OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")


def open_dispute(change: Change, charge: JsonObject, claim: Claim) -> JsonObject:
    """Dispute a charge that has succeeded; an inquiry takes no money."""
    dispute = make_dispute(charge, claim, change.now)
    charge["disputed"] = True
    change.account.ledger.put(charge)
    if claim.inquiry:
        change.keep(dispute, "charge.dispute.created")
        return dispute
    dispute["balance_transactions"] = [dispute_entry(dispute, -claim.amount, FEE, change.now)]
    change.keep(dispute, "charge.dispute.created", "charge.dispute.funds_withdrawn")
    return dispute


def dispute_charge(account: SandboxAccount, charge: JsonObject, wanted: JsonObject) -> JsonObject:
    """Dispute a charge, as its buyer's bank does: all of it unless told otherwise, and once at a time."""
    if charge["disputed"] and any(dispute["status"] in _OPEN for dispute in _disputes_of(account, charge)):
        raise WrongStateError(f"Charge {charge['id']} is disputed already.")
    amount = int(wanted["amount"] if "amount" in wanted else charge["amount"])
    if not 0 < amount <= charge["amount"]:
        raise WrongStateError(f"The amount is {amount}: no more than the charge's {charge['amount']} can be disputed.")
    claim = Claim(amount, wanted.get("reason", "fraudulent"), inquiry=wanted.get("inquiry", False))
    return open_dispute(Change(account), charge, claim)


def close_dispute(account: SandboxAccount, dispute_id: str, status: str, cause: JsonObject | None = None) -> Change:
    """Decide one: won or lost; the money of a won one comes back."""
    change, dispute = Change(account, cause), account.ledger.get(KIND, dispute_id)
    if dispute["status"] not in _OPEN:
        raise WrongStateError(f"Dispute {dispute_id} is {dispute['status']}: only an open one can be closed.")
    if dispute["status"].startswith("warning"):
        dispute |= {"status": "warning_closed"}
        change.keep(dispute, "charge.dispute.closed")
        return change
    dispute |= {"status": status, "is_charge_refundable": status == "won"}
    if status == "won":
        entry = dispute_entry(dispute, dispute["amount"], 0, change.now)
        dispute["balance_transactions"] = [*dispute["balance_transactions"], entry]
        change.keep(dispute, "charge.dispute.funds_reinstated")
    change.keep(dispute, "charge.dispute.closed")
    return change


def refund_barred(account: SandboxAccount, charge: JsonObject) -> bool:
    """Tell whether a dispute stands in the way of giving a charge back."""
    return any(not dispute["is_charge_refundable"] for dispute in _disputes_of(account, charge))


def _disputes_of(account: SandboxAccount, charge: JsonObject) -> list[JsonObject]:
    return account.ledger.select(KIND, [("json_extract(body, '$.charge') = ?", charge["id"])])
