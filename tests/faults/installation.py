"""The service as an operator runs it: `serve`, `bridge`, `worker` and the sandbox, each a process with its environment.

Any of them can be killed, stopped for a while, and started again at the same address.
"""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from broker_servers.broker_process import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
CONTRACT = ROOT / "tests" / "contract" / "owner"
RECORDER = Path(__file__).parent / "checker" / "recorder.py"
PATIENCE = 120.0
SECRET = "whsec_faults"


class Member:
    """One process of the installation."""

    def __init__(self, name: str, command: list[str], variables: dict[str, str], folder: Path) -> None:
        self.name = name
        self._command = command
        self._variables = variables
        self._folder = folder
        self.process: Process | None = None

    @property
    def log(self) -> str:
        """Give what it has logged, in all its lives."""
        return (self._folder / f"{self.name}.log").read_text()

    async def start(self, *, ready: bool = True, **changes: str) -> None:
        """Start it, or start it again; returns when it has said that it is ready."""
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self._folder,
                env=self._variables | changes,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=PIPE if ready else log,
                stderr=log,
            )
        if not ready:
            return
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        assert line, self.log[-3000:]
        assert json.loads(line)

    async def kill(self) -> None:
        """End it without a word."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """End it as an orchestrator does; gives its exit code."""
        return await self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Let it do nothing for a while."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def asleep(self) -> None:
        """Wait until it has stopped itself, but not ended."""
        assert self.process is not None
        async with asyncio.timeout(PATIENCE):
            while not _is_stopped(self.process.pid):  # noqa: ASYNC110  # the kernel tells nobody else
                await asyncio.sleep(0.05)

    async def has_logged(self, text: str) -> None:
        """Wait until its log has this."""
        async with asyncio.timeout(PATIENCE):
            while text not in self.log:  # noqa: ASYNC110  # it is a file
                await asyncio.sleep(0.05)

    async def ended(self) -> int:
        """Wait until it has ended by itself."""
        assert self.process is not None
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    async def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await self.ended()


class Installation:
    """All processes, with the addresses that they keep."""

    def __init__(self, folder: Path, database_url: str, broker_url: str, **variables: str) -> None:
        self.folder = folder
        self.database_url = database_url
        self.ports = {name: free_port() for name in ("grpc", "bridge", "sandbox")}
        self.sandbox_url = f"http://127.0.0.1:{self.ports['sandbox']}"
        self.target = f"127.0.0.1:{self.ports['grpc']}"
        self.reached_at = self.target
        """Where callers and subscribers reach it: a link of theirs may lie between."""
        self.history = folder / "history.jsonl"
        self._variables = self._environment(broker_url) | variables
        self.members: dict[str, Member] = {}

    def member(self, name: str, *arguments: str, **changes: str) -> Member:
        """Name a process of ours; it is not started yet."""
        command = [sys.executable, "-m", "payments_service", name.split("-")[0], "--json", *arguments]
        self.members[name] = Member(name, command, self._variables | changes, self.folder)
        return self.members[name]

    def doomed_member(self, name: str, doom: str) -> Member:
        """Name a process of ours that kills itself, as doomed_process.py has it."""
        return self.wayward_member(name, "doomed_process.py", doom)

    def wayward_member(self, name: str, script: str, *arguments: str) -> Member:
        """Name a process of ours that a script of this folder has changed before it began."""
        command = [sys.executable, str(Path(__file__).parent / script), *arguments, name.split("-")[0], "--json"]
        self.members[name] = Member(name, command, self._variables, self.folder)
        return self.members[name]

    def recorder(self) -> Member:
        """Name the checker's subscriber."""
        scratch = self.folder / "stubs"
        scratch.mkdir()
        self.history.touch()
        command = [sys.executable, str(RECORDER), str(CONTRACT), str(scratch), self.reached_at, str(self.history)]
        self.members["recorder"] = Member("recorder", command, dict(os.environ), self.folder)
        return self.members["recorder"]

    def variable(self, name: str) -> str:
        """Give what the processes go by."""
        return self._variables[name]

    def go_by(self, **variables: str) -> None:
        """Have the processes that are still to be named go by these."""
        self._variables |= variables

    async def start(self, *names: str) -> None:
        """Run the sandbox and the named processes of ours, and the checker's subscriber."""
        await self.member("sandbox").start()
        await asyncio.gather(*(self.member(name).start() for name in names))
        await self.recorder().start(ready=False)

    async def close(self) -> None:
        """Kill all that still runs."""
        for member in self.members.values():
            if member.process is not None and member.process.returncode is None:
                member.thaw()
                await member.kill()

    async def sandbox(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  # JSON
        """Drive the sandbox."""
        url = f"{self.sandbox_url}/_sandbox/{path}"
        async with aiohttp.ClientSession() as http, http.request(method, url, json=body) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()

    @asynccontextmanager
    async def faults(self, **faults: object) -> AsyncIterator[None]:
        """Have Stripe's stand-in fail meanwhile; `webhooks` and `api` are as its controls take them."""
        await self.sandbox("PUT", "faults", faults)
        try:
            yield
        finally:
            await self.sandbox("DELETE", "faults")

    def tracebacks(self) -> list[str]:
        """Give what our processes have logged as errors of their own: no fault from outside is one.

        The event loop's complaints are left out, for a driver's own tasks die with their connections, and so is what a
        test has planted.
        """
        logged = (line for file in sorted(self.folder.glob("*.log")) for line in file.read_text().splitlines())
        whole = (line for line in logged if line.startswith("{") and line.endswith("}"))
        told = [each for each in map(json.loads, whole) if "exception" in each and each["logger"] != "asyncio"]
        return [each["exception"] for each in told if "/tests/faults/" not in each["exception"]]

    def told(self) -> str:
        """Give what the subscriber has written down so far."""
        return self.history.read_text()

    def _environment(self, broker_url: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PAYMENTS_")}
        bridge = f"127.0.0.1:{self.ports['bridge']}"
        ours = {
            "DATABASE_URL": self.database_url,
            "DATABASE_POOL_SIZE": "8",
            "BROKER_URL": broker_url,
            "GRPC_ADDRESS": self.target,
            "BRIDGE_ADDRESS": bridge,
            "SANDBOX_ADDRESS": f"127.0.0.1:{self.ports['sandbox']}",
            "SANDBOX_DATABASE": str(self.folder / "sandbox.db"),
            "SANDBOX_WEBHOOK_URL": f"http://{bridge}/webhooks/stripe",
            "STRIPE_API_KEY": "sk_test_sandbox",
            "STRIPE_API_BASE": self.sandbox_url,
            "STRIPE_WEBHOOK_SECRETS": SECRET,
            "RECONCILE_INTERVAL": "2",
            "LOG_FORMAT": "json",
        }
        return inherited | {"PYTHONPATH": str(ROOT)} | {f"PAYMENTS_{name}": value for name, value in ours.items()}


def _is_stopped(pid: int) -> bool:
    return ") T " in Path(f"/proc/{pid}/stat").read_text()
