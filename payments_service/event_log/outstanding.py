"""What is out at one member: handed out, within its credit, and not answered; and what was answered before. Pure."""

from collections.abc import Container, Mapping

from payments_service.event_log.ack_id import AckId, decode_ack_id
from payments_service.event_log.consumer_turn import ACK_ID_UNKNOWN, ANSWERED_BEFORE, LEASE_LOST
from payments_service.event_log.delivery_credit import DeliveryCredit
from payments_service.event_log.order_lane import Out
from payments_service.event_log.response_bytes import FramedEvent

REMEMBERED_ANSWERS = 10_000


class Outstanding:
    """Counts what goes out against the credit."""

    def __init__(self, credit: DeliveryCredit) -> None:
        """Begin with nothing out."""
        self.credit = credit
        self._outs: dict[int, Out] = {}
        self._answered: dict[bytes, bool] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._outs)

    def __contains__(self, position: object) -> bool:
        return position in self._outs

    @property
    def shards(self) -> set[int]:
        """The shards of which something is out."""
        return {out.shard for out in self._outs.values()}

    def at(self, position: int | None) -> Out | None:
        """Give what is out of a position."""
        return None if position is None else self._outs.get(position)

    def send(self, shard: int, event: FramedEvent, attempt: int, size: int, *, is_aside: bool) -> Out:
        """Take note of an event that goes out."""
        self._serial += 1
        out = Out(shard, self._serial, event, attempt, size, is_aside)
        self._outs[event.position] = out
        self.credit.take(size)
        return out

    def settle(self, out: Out) -> None:
        """Take note that an event is out no more."""
        del self._outs[out.event.position]
        self.credit.give(out.size)

    def drop(self, shards: Container[int]) -> None:
        """Forget what is out of shards."""
        for out in [out for out in self._outs.values() if out.shard in shards]:
            self.settle(out)

    def find(self, token: bytes, epochs: Mapping[int, int], *, is_ack: bool) -> tuple[AckId | None, Out | None, str]:
        """Find what an answer is about: the delivery, or why it is not taken; neither where it was taken before."""
        name = decode_ack_id(token)
        if name is None:
            return None, None, ACK_ID_UNKNOWN
        if epochs.get(name.shard) != name.epoch:
            return name, None, LEASE_LOST
        out = self._outs.get(name.position)
        if out is None or out.serial != name.serial:
            return name, None, "" if self._answered.get(token) is is_ack else ANSWERED_BEFORE
        self._remember(token, is_ack)
        return name, out, ""

    def _remember(self, token: bytes, is_ack: bool) -> None:
        self._answered[token] = is_ack
        if len(self._answered) > REMEMBERED_ANSWERS:
            del self._answered[next(iter(self._answered))]
