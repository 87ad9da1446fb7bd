"""Runs an example as its README says, in a process of its own, and reads what it says."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SCRIPTS = Path(sys.executable).parent
PATIENCE = 30.0


class ExampleProcess:
    """A process, and all that it has written."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Take it, started with one pipe for both of its outputs."""
        self._process = process
        self.said = ""

    async def until(self, pattern: str) -> re.Match[str]:
        """Read on until it has said so; fails with what it said where it ends before."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while not (found := re.search(pattern, self.said)):
                line = await self._process.stdout.readline()
                assert line, f"ended without saying {pattern}: {self.said}"
                self.said += line.decode()
        return found

    async def stop(self) -> int:
        """Ask it to end; gives its exit code."""
        self._process.send_signal(signal.SIGTERM)
        rest, _ = await asyncio.wait_for(self._process.communicate(), PATIENCE)
        self.said += rest.decode()
        assert self._process.returncode is not None
        return self._process.returncode

    def kill(self) -> None:
        """End it and all that it has started without asking."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


@asynccontextmanager
async def running(
    command: Sequence[str | Path], environment: Mapping[str, str], folder: Path = ROOT
) -> AsyncIterator[ExampleProcess]:
    """Run a command until the context ends."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    example = ExampleProcess(process)
    try:
        yield example
    finally:
        example.kill()
        await process.communicate()
