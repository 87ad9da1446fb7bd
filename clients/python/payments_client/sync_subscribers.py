"""The durable subscribers of the service, for code that blocks."""

from collections.abc import Iterator, Sequence

from payments_client import subscriber_calls
from payments_client.event_types import EventFilter, ParkedEvent, StartAt, Subscriber
from payments_client.refusal_errors import SubscriberExistsError
from payments_client.sync_calling import SyncCaller

EVERYTHING = EventFilter()


class Subscribers:
    """Makes, lists, moves and deletes durable subscribers; `PaymentsClient.consume` works for one."""

    def __init__(self, caller: SyncCaller) -> None:
        """Take the client's channel."""
        self._caller = caller

    def create(
        self,
        name: str,
        *,
        start: StartAt,
        filter: EventFilter = EVERYTHING,
        shard_count: int = 0,
        max_attempts: int = 0,
        exist_ok: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Create one; with `exist_ok`, one that exists is left as it is."""
        call = subscriber_calls.create_subscriber(name, start, filter, shard_count, max_attempts)
        try:
            self._caller.call(call, timeout)
        except SubscriberExistsError:
            if not exist_ok:
                raise

    def list(self, *, page_size: int = 0) -> Iterator[Subscriber]:
        """Give the durable subscribers with their backlog."""
        return self._caller.each(subscriber_calls.list_subscribers(page_size))

    def delete(self, name: str, *, timeout: float | None = None) -> None:
        """Delete one, with all that it has acknowledged and parked."""
        self._caller.call(subscriber_calls.delete_subscriber(name), timeout)

    def seek(self, name: str, target: StartAt, *, timeout: float | None = None) -> Subscriber:
        """Move one to another place of the log."""
        return self._caller.call(subscriber_calls.seek_subscriber(name, target), timeout)

    def parked(self, name: str, *, page_size: int = 0) -> Iterator[ParkedEvent]:
        """Give what one has set aside."""
        return self._caller.each(subscriber_calls.list_parked_events(name, page_size))

    def replay(self, name: str, event_ids: Sequence[str] = (), *, timeout: float | None = None) -> int:
        """Hand parked events out again, all of them where none is named; gives how many."""
        return self._caller.call(subscriber_calls.replay_parked_events(name, event_ids), timeout)
