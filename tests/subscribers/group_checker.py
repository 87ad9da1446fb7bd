"""Judges a group by what its members saw and what is stored at the end; it knows nothing of how either came about."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class History:
    """What happened, in the order in which it did."""

    effects: list[str] = field(default_factory=list)
    """Ids of events that a member has worked on with success, before it said so."""
    accepted: list[str] = field(default_factory=list)
    """Ids of events whose ack a member was told to be durable."""
    handed: list[tuple[str, int]] = field(default_factory=list)
    """Each delivery that reached a member: the event's id, and as which attempt."""
    floors: list[Mapping[int, int]] = field(default_factory=list)
    """What was stored of each shard's floor, whenever somebody looked."""


def check(
    history: History,
    log: Sequence[tuple[str, str]],
    wanted: Iterable[str],
    parked: Iterable[str],
    poison: Iterable[str],
) -> None:
    """Hold a finished group to its promises; the log is ids with orders, wanted are those that pass the filter."""
    effects, gone = Counter(history.effects), set(parked)
    order_of = dict(log)
    left_out = set(order_of) - set(wanted)

    assert effects.keys() | gone | left_out == set(order_of), "done, parked and left out together are the log"
    assert not left_out & (effects.keys() | gone), "nothing that is left out was delivered"
    assert set(poison) - left_out <= gone, "what never succeeds is parked"
    assert max(Counter(history.accepted).values(), default=1) == 1, "an ack that is durable is the last"
    assert max(Counter(history.handed).values(), default=1) == 1, "an attempt is made once"
    assert not gone & set(history.accepted), "what is parked was not acknowledged"
    _check_order(history.effects, log, gone)
    _check_floors(history.floors)


def _check_order(effects: Sequence[str], log: Sequence[tuple[str, str]], gone: set[str]) -> None:
    place = {event: number for number, (event, _) in enumerate(log)}
    order_of, last = dict(log), dict[str, int]()
    seen = set[str]()
    for event in effects:
        if event in seen or event in gone:
            continue
        seen.add(event)
        order = order_of[event]
        assert place[event] > last.get(order, -1), f"{event} of {order} came after a later one"
        last[order] = place[event]


def _check_floors(floors: Sequence[Mapping[int, int]]) -> None:
    highest: dict[int, int] = {}
    for look in floors:
        for shard, floor in look.items():
            assert floor >= highest.get(shard, floor), f"the floor of {shard} went back"
            highest[shard] = floor
