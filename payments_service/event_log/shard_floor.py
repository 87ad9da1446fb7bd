"""How far one shard of a subscriber has come: a floor below which all is settled, and what is settled beyond it.

Pure. The floor never goes back and never passes an event that is neither acknowledged, put aside nor left out.
"""

from collections import OrderedDict
from collections.abc import Iterable


class ShardFloor:
    """Positions of one shard, from where it was taken over."""

    def __init__(self, acked_through: int, acked_ahead: bytes, sent_through: int) -> None:
        """Start as the holder before left it: up to `sent_through` events may have been handed out."""
        self.examined = acked_through
        """Every event of the shard up to here is known, and settled or open."""
        self.sent_through = self._inherited = sent_through
        self._suspected: set[str] = set()
        self._open: OrderedDict[int, None] = OrderedDict()
        self._ahead = set(decode_positions(acked_through, acked_ahead))

    @property
    def floor(self) -> int:
        """The last position up to which nothing is open."""
        return next(iter(self._open)) - 1 if self._open else self.examined

    @property
    def first_open(self) -> int | None:
        """The position that the floor waits for."""
        return next(iter(self._open), None)

    def is_far_ahead(self, most: int) -> bool:
        """Say whether more is settled beyond the floor than is to be remembered."""
        if len(self._ahead) > most:
            self._forget_passed()
        return len(self._ahead) > most

    def open(self, position: int) -> bool:
        """Take an event that must be settled; False where it was before this shard was taken over."""
        if position in self._ahead:
            return False
        self._open[position] = None
        return True

    def may_be_out(self, position: int, order: str) -> bool:
        """Say whether the holder before may have handed an event out: of an order, the first that is not settled."""
        if position > self._inherited or order in self._suspected:
            return False
        self._suspected.add(order)
        return True

    def is_open(self, position: int) -> bool:
        """Say whether an event must still be settled."""
        return position in self._open

    def settle(self, position: int) -> None:
        """Take note that an open event is acknowledged, put aside or left out."""
        del self._open[position]
        self._ahead.add(position)

    def send(self, position: int) -> None:
        """Take note that an event goes out."""
        self.sent_through = max(self.sent_through, position)

    def state(self) -> tuple[int, bytes, int]:
        """Give what is to be stored: the floor, what is settled beyond it, and what was sent."""
        self._forget_passed()
        return self.floor, encode_positions(self.floor, self._ahead), self.sent_through

    def _forget_passed(self) -> None:
        floor = self.floor
        self._ahead = {position for position in self._ahead if position > floor}


def encode_positions(floor: int, positions: Iterable[int]) -> bytes:
    """Write positions above a floor as the gaps between them, seven bits a byte."""
    encoded = bytearray()
    before = floor
    for position in sorted(positions):
        gap, before = position - before, position
        while gap > 0x7F:
            encoded.append(gap & 0x7F | 0x80)
            gap >>= 7
        encoded.append(gap)
    return bytes(encoded)


def decode_positions(floor: int, encoded: bytes) -> list[int]:
    """Read what `encode_positions` has written."""
    positions: list[int] = []
    gap, shift = 0, 0
    for byte in encoded:
        gap |= (byte & 0x7F) << shift
        shift += 7
        if byte <= 0x7F:
            floor += gap
            positions.append(floor)
            gap, shift = 0, 0
    return positions
