"""One batch of a stream in the making: ended by its count, by its bytes, or by whoever sends it."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from payments_service.event_log.event_page import EventPage
from payments_service.event_log.stream_filter import StreamFilter

BATCH_BYTES = 1024 * 1024


class EventBatch:
    """Takes runs of pages until it is full; one event is taken however large it is."""

    def __init__(self, size: int) -> None:
        """Take at how many events it is full."""
        self._size = size
        self._bytes = 0
        self._taken: list[tuple[EventPage, range]] = []
        self.count = 0
        self.is_full = False

    def take(self, page: EventPage, runs: Sequence[range], start: int) -> int:
        """Take what a page's runs hold from an index on; gives the index of the first event not examined."""
        for run in runs[bisect_right(runs, start, key=_stop) :]:
            first = max(run.start, start)
            end = self._room(page, first, run.stop)
            if end > first:
                self._take(page, range(first, end))
            self.is_full = end < run.stop or self.count == self._size
            if self.is_full:
                return end
        return len(page)

    def keep_only(self, matches: StreamFilter) -> None:
        """Let go of what may no longer be seen."""
        self._taken = [(page, run) for page, taken in self._taken for run in matches.runs(page, taken)]
        self.count = sum(len(run) for _, run in self._taken)

    def frames(self) -> Iterator[memoryview]:
        """Give what was taken, as it goes out, in as few pieces as it lies in memory."""
        for page, run in self._taken:
            yield memoryview(page.frames)[page.ends[run.start] : page.ends[run.stop]]

    def _take(self, page: EventPage, run: range) -> None:
        self._taken.append((page, run))
        self.count += len(run)
        self._bytes += page.ends[run.stop] - page.ends[run.start]

    def _room(self, page: EventPage, first: int, stop: int) -> int:
        """Say up to which event of a run the batch has room."""
        most = min(stop, first + self._size - self.count)
        fitting = bisect_right(page.ends, page.ends[first] + BATCH_BYTES - self._bytes, first) - 1
        return min(max(fitting, first if self.count else first + 1), most)


def _stop(run: range) -> int:
    return run.stop
