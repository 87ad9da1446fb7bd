"""Runs a command of ours on a host whose clock is as wrong as a file says, and jumps when the file is written anew.

It is the clock that our own code reads: gRPC compares `time.time()` with the kernel's clock, which no test can set.

Run as `python shifted_process.py FILE COMMAND...`, with the seconds that the clock is ahead in the file.
"""

import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

from payments_service import process_parts

FILE = Path(sys.argv.pop(1))


def shift() -> float:
    """Give the seconds that the clock is ahead now."""
    return float(FILE.read_text() or 0)


class ShiftedDatetime(datetime):
    """The host's date and time."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Give what the host believes."""
        return super().now(tz) + timedelta(seconds=shift())


def main() -> None:
    """Run the rest of the command line as `payments` would."""
    vars(process_parts)["datetime"] = ShiftedDatetime
    from payments_service.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
