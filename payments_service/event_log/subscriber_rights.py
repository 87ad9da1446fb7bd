"""Who may do what with a subscriber: its owner, and operators; another's does not exist. Pure."""

from payments_service.errors import CallerNotAllowedError
from payments_service.event_log.group_store import not_found
from payments_service.scope import Caller
from payments_service.storage.subscriber_rows import SubscriberRow


def may_do_all(caller: Caller) -> bool:
    """Say whether a caller is an operator of all organizations."""
    return caller.operator and caller.scope.organizations is None


def require_mine(row: SubscriberRow, caller: Caller) -> None:
    """Raise SubscriberNotFoundError for another's subscriber.

    An operator who may see less than its owner could is refused too: what an operator does not see would be passed over
    as if it were not for the subscriber.
    """
    if row.owner == caller.name:
        return
    if not may_do_all(caller):
        raise not_found(row.subscriber)
    if not caller.scope.covers(row.scope):
        raise CallerNotAllowedError(
            f"The subscriber {row.subscriber!r} gets what this caller may not see.", missing="its purchase types"
        )
