"""Runs `payments` as a person or a script does: another process, its own environment, perhaps a terminal."""

import asyncio
import json
import os
import re
import signal
import sys
import termios
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = (Path(sys.executable).with_name("payments"),)
PATIENCE = 30.0
_PAINT = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401
        """Read what was printed as JSON."""
        return json.loads(self.out)


class CommandLine:
    """The command in a folder, with PAYMENTS_ variables and no other's."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self._folder = folder
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PAYMENTS_", "COLUMNS"))}
        self._environment = {**inherited, "TZ": "UTC", **_prefixed(variables)}

    async def run(self, *arguments: str, **variables: str) -> Finished:
        """Run a command to its end, piped."""
        async with self.started(*arguments, **variables) as process, asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        assert process.returncode is not None
        assert "Traceback" not in err.decode(), err.decode()
        return Finished(process.returncode, out.decode(), err.decode())

    async def modules_loaded_by(self, *arguments: str) -> set[str]:
        """Run a command and name the modules that it imported."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=PIPE,
            cwd=self._folder,
            env={**self._environment, "PYTHONPROFILEIMPORTTIME": "1"},
        )
        async with asyncio.timeout(PATIENCE):
            _, err = await process.communicate()
        return {line.rpartition("|")[2].strip() for line in err.decode().splitlines() if "import time:" in line}

    @asynccontextmanager
    async def started(self, *arguments: str, **variables: str) -> AsyncIterator[Process]:
        """Run a command that is ended with the context."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=self._folder,
            env={**self._environment, **_prefixed(variables)},
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def on_terminal(self, *arguments: str, columns: int, until: str = "", **variables: str) -> str:
        """Run a command on a terminal of a width, and give what stands there, without its colours.

        It runs to its own end, or is interrupted as by Ctrl-C once it has shown `until`.
        """
        outer, inner = os.openpty()
        termios.tcsetwinsize(inner, (50, columns))
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            cwd=self._folder,
            env={**self._environment, **_prefixed(variables), "TERM": "xterm-256color"},
        )
        os.close(inner)
        async with asyncio.timeout(PATIENCE):
            shown = await asyncio.to_thread(_read_terminal, outer, until, process)
            await process.wait()
        return _PAINT.sub("", shown).replace("\r\n", "\n")


def hang_up(process: Process) -> None:
    """Read no more of a process's stdout, as `head -1` does."""
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # there is no public way


async def next_line(process: Process) -> str:
    """Wait for the next line on a process's stdout."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return (await process.stdout.readline()).decode().rstrip("\n")


async def next_json(process: Process) -> Any:  # noqa: ANN401
    """Wait for the next line on a process's stdout, and read it."""
    return json.loads(await next_line(process))


async def notice_with(process: Process, text: str) -> str:
    """Wait for the line on stderr that says this."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        while line := (await process.stderr.readline()).decode():
            if text in line:
                return line
    raise AssertionError(f"it ended without {text!r}")


def _prefixed(variables: dict[str, str]) -> dict[str, str]:
    return {f"PAYMENTS_{name.upper()}": value for name, value in variables.items()}


def _read_terminal(outer: int, until: str, process: Process) -> str:
    """Read until the last writer is gone, which Linux reports as an error."""
    shown = b""
    interrupted = False
    try:
        while part := os.read(outer, 65536):
            shown += part
            if until and not interrupted and until.encode() in shown:
                interrupted = True
                process.send_signal(signal.SIGINT)
    except OSError:
        pass
    finally:
        os.close(outer)
    return shown.decode()
