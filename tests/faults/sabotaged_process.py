"""Runs a command of ours with one of its rules broken, to show that the tests would notice.

Run as `python sabotaged_process.py HOW COMMAND...`. A `hasty` bridge wakes before it commits, and not after; a
`forgetful` one acknowledges and does not store; an `unswept` worker does not look for what was not woken.
"""

import asyncio
import sys
from dataclasses import replace

from payments_service.actors import sweep
from payments_service.actors.message_waker import MessageWaker
from payments_service.inbox.event_envelope import read_event
from payments_service.inbox.receiver import Receipt, Receiver
from payments_service.process_parts import clock

COMMIT_SECONDS = 0.5
"""How much later the commit is than the wake-up."""
_receive = Receiver.receive
_start = MessageWaker.start
_wakers: list[MessageWaker] = []


def start(waker: MessageWaker) -> None:
    """Remember whom to wake."""
    _wakers.append(waker)
    _start(waker)


async def receive_hastily(receiver: Receiver, payload: bytes) -> Receipt:
    """Wake, then store."""
    _wakers[0].wake_event(read_event(payload, clock()).stripe_event_id)
    await asyncio.sleep(COMMIT_SECONDS)
    return replace(await _receive(receiver, payload), pending=False)


async def receive_forgetfully(_: Receiver, payload: bytes) -> Receipt:
    """Say that it is stored."""
    event = read_event(payload, clock())
    return Receipt(event.stripe_event_id, pending=False, deliveries=1, type=event.type)


def main() -> None:
    """Run the rest of the command line as `payments` would."""
    match sys.argv.pop(1):
        case "hasty":
            setattr(MessageWaker, "start", start)  # noqa: B010  # broken from outside
            setattr(Receiver, "receive", receive_hastily)  # noqa: B010
        case "forgetful":
            setattr(Receiver, "receive", receive_forgetfully)  # noqa: B010
        case _:
            vars(sweep)["OVERDUE_SECONDS"] = 3600.0
    from payments_service.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
