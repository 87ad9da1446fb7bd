"""How long each fault was felt after it had ended, in one table at the end of the run."""

from collections.abc import Iterable, Iterator

PROPERTY = "recovery"
Measured = tuple[str, float]
_measured: list[Measured] = []


def note_recovery(fault: str, seconds: float) -> None:
    """Note how long after a fault's end all was well; without a name it is the test's."""
    _measured.append((fault, seconds))


def taken_recoveries(test_name: str) -> list[tuple[str, object]]:
    """Give what the test that has just ended has noted, as properties of its report, and forget it."""
    taken = [(PROPERTY, [fault or test_name.removeprefix("test_"), seconds]) for fault, seconds in _measured]
    _measured.clear()
    return list(taken)


def table_of(properties: Iterable[tuple[str, object]]) -> Iterator[str]:
    """Write the table's lines: how often each fault was, the mean, and the longest time."""
    times: dict[str, list[float]] = {}
    for name, value in properties:
        if name == PROPERTY and isinstance(value, list):
            times.setdefault(str(value[0]), []).append(float(value[1]))
    for fault, seconds in sorted(times.items()):
        yield f"{max(seconds):7.1f} {sum(seconds) / len(seconds):7.1f} {len(seconds):5d}  {fault}"
