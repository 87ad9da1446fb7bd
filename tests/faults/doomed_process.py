"""Runs a command of ours in a process that kills itself at a boundary of a transaction, as a power cut would.

Run as `python doomed_process.py DOOM COMMAND...`, with a doom of `before-commit:N`, `after-commit:N` (the Nth writing
transaction), `before-statement:PATTERN` (the first that begins so), `at-events-of:ID` (when it works on an event about
this object), or one by which it does not die but stops: `asleep:N` (at its Nth claim of an event) and
`asleep-at-duty:NAME` (when it is about to prove in a transaction that this duty is its own).
"""

import os
import re
import signal
import sys
from itertools import count
from typing import Any

from sqlalchemy import Engine, event

WRITES = ("INSERT", "UPDATE", "DELETE", "WITH")
"""Not the sequencer, which begins before anything else does: it has a doom of its own."""
FENCING = "SELECT set_config("


def die() -> None:
    """End at once: nothing is flushed, closed or sent."""
    os.kill(os.getpid(), signal.SIGKILL)


class CommitDoom:
    """Counts writing transactions, and dies at one end of the Nth."""

    def __init__(self, side: str, number: int) -> None:
        self._before = side == "before-commit"
        self._number = number
        self._numbers = count(1)
        self._writing: set[int] = set()

    def watch(self) -> None:
        """Begin."""
        event.listen(Engine, "before_cursor_execute", self._begin_statement)
        event.listen(Engine, "after_cursor_execute", self._end_statement)
        event.listen(Engine, "commit", self._commit)
        event.listen(Engine, "rollback", self._forget)

    def _begin_statement(self, connection: Any, _: Any, statement: str, *__: Any) -> None:  # noqa: ANN401
        if not statement.lstrip().startswith(WRITES):
            return
        if _commits_by_itself(connection):
            self._boundary(before=True)
        else:
            self._writing.add(id(connection.connection.dbapi_connection))

    def _end_statement(self, connection: Any, _: Any, statement: str, *__: Any) -> None:  # noqa: ANN401
        if statement.lstrip().startswith(WRITES) and _commits_by_itself(connection):
            self._boundary(before=False)

    def _commit(self, connection: Any) -> None:  # noqa: ANN401
        if id(connection.connection.dbapi_connection) not in self._writing:
            return
        self._forget(connection)
        self._boundary(before=True)
        # The event comes before the commit; so the commit is done here, and what follows finds it done.
        connection.connection.dbapi_connection.commit()
        self._boundary(before=False)

    def _forget(self, connection: Any) -> None:  # noqa: ANN401
        self._writing.discard(id(connection.connection.dbapi_connection))

    def _boundary(self, *, before: bool) -> None:
        if before == self._before and next(self._numbers) == self._number:
            die()


def watch_statements(pattern: str) -> None:
    """Die before the first statement that matches."""

    def look(_: Any, __: Any, statement: str, *___: Any) -> None:  # noqa: ANN401
        if re.match(pattern, statement):
            die()

    event.listen(Engine, "before_cursor_execute", look)


def watch_duty(name: str) -> None:
    """Stop once, as if the machine were paused, in the transaction that is to write under a duty's lease."""
    left = [name]

    def look(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:  # noqa: ANN401
        if statement.startswith(FENCING) and left and left[0] in str(parameters):
            left.clear()
            os.kill(os.getpid(), signal.SIGSTOP)

    event.listen(Engine, "before_cursor_execute", look)


def watch_events_of(object_id: str) -> None:
    """Die whenever an event about this object of Stripe's is worked on, before anything of that is committed."""

    def look(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:  # noqa: ANN401
        if statement.startswith("INSERT INTO event_outbox") and object_id in str(parameters):
            die()

    event.listen(Engine, "before_cursor_execute", look)


def watch_claims(number: int) -> None:
    """Stop, as a process does whose machine is paused, right after a claim."""
    numbers = count(1)

    def look(_: Any, __: Any, statement: str, *___: Any) -> None:  # noqa: ANN401
        if statement.startswith("UPDATE stripe_events SET attempts") and next(numbers) == number:
            os.kill(os.getpid(), signal.SIGSTOP)

    event.listen(Engine, "after_cursor_execute", look)


def _commits_by_itself(connection: Any) -> bool:  # noqa: ANN401
    return bool(connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT")


def main() -> None:
    """Run the rest of the command line as `payments` would."""
    doom, _, what = sys.argv.pop(1).partition(":")
    match doom:
        case "at-events-of":
            watch_events_of(what)
        case "asleep":
            watch_claims(int(what))
        case "asleep-at-duty":
            watch_duty(what)
        case "before-statement":
            watch_statements(what)
        case _:
            CommitDoom(doom, int(what)).watch()
    from payments_service.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
