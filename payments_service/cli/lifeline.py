"""Ends a process whose parent is gone: the parent holds the other end of its stdin, and the kernel closes it."""

import os
import signal
import sys
import threading

LAST_SECONDS = 10.0
"""How long an orderly end may take; a process that hangs is ended all the same."""


def hold_lifeline() -> None:
    """Watch stdin from a thread of its own: it works while everything else hangs."""
    threading.Thread(target=_watch, name="payments-lifeline", daemon=True).start()


def _watch() -> None:
    while sys.stdin.buffer.read(1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(LAST_SECONDS)
    os._exit(1)
