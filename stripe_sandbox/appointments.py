"""What is to happen at a time of the sandbox's clock: a subscription's next period, a bank's answer; kept, not done."""

from stripe_sandbox.ledger import Ledger

KIND = "appointment"


def appoint(ledger: Ledger, what: str, object_id: str, at: int) -> None:
    """Let something happen to an object; an earlier appointment of this kind with it is moved."""
    ledger.put({"id": f"{what}:{object_id}", "what": what, "object_id": object_id, "at": at}, KIND)


def call_off(ledger: Ledger, what: str, object_id: str) -> None:
    """Let it not happen."""
    ledger.delete(KIND, f"{what}:{object_id}")
