"""What counting costs: microseconds of each thing that is counted on a hot path, and milliseconds of a scrape's text.

python tests/benchmarks/metrics_cost.py
"""

import time
import timeit
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus

from prometheus_client import generate_latest

from payments_service.observability.call_metrics import CallMeter, note_batch, note_webhook
from payments_service.observability.log_metrics import note_streamed
from payments_service.observability.metric_registry import REGISTRY
from payments_service.observability.work_metrics import note_event_attempt, note_verdict, note_wake_up

CALLS = 100_000
HOUR = timedelta(hours=1)


def microseconds(call: Callable[[], object]) -> float:
    """Give the best of some runs: what others do on the machine is not ours."""
    return min(timeit.repeat(call, number=CALLS, repeat=5)) / CALLS * 1e6


def main() -> None:
    """Print them."""
    meter, begun = CallMeter("payments.v1.Payments/GetOrder", "unary"), time.perf_counter()

    def count_call() -> None:
        meter.began()
        meter.ended("OK", "", 0.002)

    def count_event() -> None:
        note_verdict("APPLIED", "invoice.paid", HOUR, HOUR)
        note_event_attempt("settled", 0.01)

    counted: dict[str, Callable[[], object]] = {
        "a webhook's answer": lambda: note_webhook(HTTPStatus.OK, begun),
        "a batch of webhooks": lambda: note_batch(8),
        "a call": count_call,
        "a batch of a stream": lambda: note_streamed(100),
        "a wake-up": lambda: note_wake_up(sent=True),
        "an event that is applied": count_event,
    }
    for what, count in counted.items():
        print(f"{what:26} {microseconds(count):6.2f} µs")
    text = min(timeit.repeat(lambda: generate_latest(REGISTRY), number=1, repeat=20))
    print(f"{'the text of what is counted':26} {text * 1000:6.2f} ms, {len(generate_latest(REGISTRY)):,} bytes")


if __name__ == "__main__":
    main()
