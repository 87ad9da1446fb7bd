"""Runs a command of ours whose wake-ups go astray on their way to the broker.

Run as `python wayward_process.py HOW COMMAND...`, with a how of `tenfold` (each is sent ten times, shuffled among those
that came before it) or `halved` (every other one is lost).
"""

import random
import sys
from collections.abc import Callable
from typing import Any

from payments_service.actors.message_waker import MessageWaker

COPIES = 10
HELD = 15
"""How many copies wait to come out of turn, so that some are sent long after their row is done."""
Send = Callable[[str], object]
_made: Any = MessageWaker.__init__


def tenfold(send: Send) -> Send:
    """Send each many times, and in no order."""
    waiting: list[str] = []

    def send_some(row_id: str) -> None:
        waiting.extend([row_id] * COPIES)
        random.shuffle(waiting)
        while len(waiting) > HELD:
            send(waiting.pop())

    return send_some


def halved(send: Send) -> Send:
    """Lose every other one, by chance."""

    def send_perhaps(row_id: str) -> None:
        if random.random() < 0.5:  # noqa: S311
            send(row_id)

    return send_perhaps


def main() -> None:
    """Run the rest of the command line as `payments` would."""
    how = {"tenfold": tenfold, "halved": halved}[sys.argv.pop(1)]

    def make(waker: MessageWaker, *sends: Any) -> None:  # noqa: ANN401
        *to_broker, poke = sends
        _made(waker, *(how(send) for send in to_broker), poke)

    setattr(MessageWaker, "__init__", make)  # noqa: B010  # seen from outside
    from payments_service.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
