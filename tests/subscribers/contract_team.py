"""Members of a group in processes of their own, by stubs of the contract alone, and what they wrote down."""

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path

from integration.rpc.rpc_service import bearer

from .contract_stubs import make_stubs
from .group_scene import Group

MEMBER = Path(__file__).with_name("contract_member.py")


class ContractTeam:
    """Members in processes of their own, and what they wrote down."""

    credit = 100

    def __init__(self, group: Group, folder: Path) -> None:
        self._group = group
        self._stubs = make_stubs(folder / "stubs")
        self._history = folder / "history.jsonl"
        self._history.touch()
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> "ContractTeam":
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def start(self, name: str) -> asyncio.subprocess.Process:
        """Run one."""
        wish = {
            "stubs": str(self._stubs),
            "servers": [self._group.service.address],
            "metadata": bearer(self._group.who),
            "subscriber": self._group.name,
            "name": name,
            "credit": self.credit,
            "history": str(self._history),
            "seed": name,
            "poison": 0,
            "nacks": 0.0,
            "work": 0.0,
        }
        process = await asyncio.create_subprocess_exec(sys.executable, str(MEMBER), json.dumps(wish))
        self._processes.append(process)
        return process

    def effects(self) -> list[tuple[str, str]]:
        """Give who has done which event."""
        lines = [json.loads(line) for line in self._history.read_text().splitlines()]
        return [(name, what[0]) for name, kind, *what in lines if kind == "effect"]

    async def has_done(self, name: str, events: int) -> bool:
        """Say whether one has done so many events."""
        return [who for who, _ in self.effects()].count(name) >= events
