"""Does what the sandbox's clock brings: checkouts expire, banks answer, subscriptions are renewed or end.

Work is done inside the caller's transaction, the earliest first.
"""

from collections.abc import Callable, Mapping

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.appointments import call_off
from stripe_sandbox.payment_flow import FAILS, SETTLES, expire_due, settle_if_awaited
from stripe_sandbox.refund_flow import settle_if_open
from stripe_sandbox.subscription_flow import PERIOD, move_on

_WORK: Mapping[str, Callable[[SandboxAccount, str], None]] = {
    PERIOD: move_on,
    SETTLES: lambda account, session_id: settle_if_awaited(account, session_id, succeeds=True),
    FAILS: lambda account, session_id: settle_if_awaited(account, session_id, succeeds=False),
    "refund_succeeded": lambda account, refund_id: settle_if_open(account, refund_id, "succeeded"),
    "refund_failed": lambda account, refund_id: settle_if_open(account, refund_id, "failed"),
}


def next_time(account: SandboxAccount) -> int | None:
    """Tell when there is something to do."""
    appointed = account.ledger.next_appointment()
    times = [account.ledger.next_expiry(), appointed and int(appointed[1]["at"])]
    return min((time for time in times if time is not None), default=None)


def do_due(account: SandboxAccount) -> None:
    """Do all whose time has come by now."""
    while expire_due(account) or _keep_appointment(account):
        pass


def advance(account: SandboxAccount, seconds: float) -> None:
    """Move the clock from one thing that is due to the next, so that each happens at its own time."""
    clock = account.clock
    end = clock.offset + seconds
    while (due := next_time(account)) is not None and due <= clock.real() + end:
        # Well past the second, which a rounded sum might just miss.
        clock.put_forward(min(end, max(clock.offset, due - clock.real() + 0.001)))
        do_due(account)
    clock.put_forward(end)


def _keep_appointment(account: SandboxAccount) -> bool:
    found = account.ledger.next_appointment()
    if found is None or found[1]["at"] > account.clock.seconds():
        return False
    owner, appointment = found
    call_off(account.ledger, appointment["what"], appointment["object_id"])
    _WORK[appointment["what"]](account.acting_for(owner), appointment["object_id"])
    return True
