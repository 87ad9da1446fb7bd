"""Runs a worker that holds its events back, or fails at them, for as long as files say: as slow as a test likes.

Run as `python held_process.py FOLDER COMMAND...`. Work that begins while the file `phase` names one goes on when there
is an `end-` of that phase; without a phase nothing is held. Work fails while the file `failing` is there.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from payments_service.actors.event_work import EventWork
from payments_service.errors import StripeUnavailableError

FOLDER = Path(sys.argv.pop(1))
_work = EventWork.work
_apply = EventWork._ask_and_apply  # the test's own seam


async def hold(work: EventWork, stripe_event_id: str) -> None:
    """Begin when the phase is over in which it came."""
    phase = (FOLDER / "phase").read_text() if (FOLDER / "phase").exists() else ""
    (FOLDER / f"begun-{phase}-{stripe_event_id}").touch()
    while phase and not (FOLDER / f"end-{phase}").exists():  # noqa: ASYNC110  # the test is another process
        await asyncio.sleep(0.02)
    await _work(work, stripe_event_id)
    (FOLDER / f"ended-{phase}-{stripe_event_id}").touch()


async def fail(work: EventWork, claimed: Any) -> Any:  # noqa: ANN401
    """Fail in the midst of the work."""
    if (FOLDER / "failing").exists():
        (FOLDER / f"failed--{claimed.stripe_event_id}").touch()
        raise StripeUnavailableError("The work fails while the broker is away.")
    return await _apply(work, claimed)


def main() -> None:
    """Run the rest of the command line as `payments` would."""
    setattr(EventWork, "work", hold)  # noqa: B010  # seen from outside
    setattr(EventWork, "_ask_and_apply", fail)  # noqa: B010
    from payments_service.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
