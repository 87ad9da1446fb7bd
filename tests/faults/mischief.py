"""Everything that can be done to an installation at once or in turn; each leaves all of it running again.

What a supervisor does is done too: a process that ends while it starts is started again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from .installation import Member
from .scene import Scene

OURS = ("serve", "bridge", "worker", "worker-2")
STARTS = 20


class Mischief:
    """Breaks things by chance; the seed says how."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene = scene
        self._chance = random.Random(seed)  # noqa: S311
        self.premature_ends: list[str] = []
        """Which processes have ended by themselves when they were started."""

    @property
    def faults(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Name each fault."""
        return {
            "a process": self.one,
            "two processes at once": self.two,
            "a process while it starts": self.starting,
            "a frozen process": self.frozen,
            "a process asked to stop": self.stopped,
            "a process that stays away": self.absent,
            "the broker": self.broker,
            "the database": self.database,
            "the database while a process starts": self.database_amid_start,
            "the database and a process": self.database_and_one,
            "all at once": self.everything,
            "all connections to the database": self.connections,
        }

    async def one(self) -> None:
        """Kill a process."""
        await self.kill(self._any())

    async def two(self) -> None:
        """Kill two processes at the same moment."""
        await self.kill(*self._chance.sample(OURS, 2))

    async def starting(self) -> None:
        """Kill a process twice more, before and after it is ready."""
        name = self._any()
        member = self._member(name)
        await member.kill()
        for _ in range(2):
            await member.start(ready=False)
            await asyncio.sleep(self._chance.uniform(0.0, 4.0))
            await member.kill()
        await self.bring_up(name)

    async def frozen(self) -> None:
        """Stop a process for a while and kill it in its sleep."""
        name = self._any()
        self._member(name).freeze()
        await asyncio.sleep(self._chance.uniform(0.5, 5.0))
        await self.kill(name)

    async def stopped(self) -> None:
        """Stop a process as an orchestrator does."""
        name = self._any()
        assert await self._member(name).stop() == 0, self._member(name).log[-2000:]
        await self.bring_up(name)

    async def absent(self) -> None:
        """Leave a process away for a while."""
        name = self._any()
        await self._member(name).kill()
        await asyncio.sleep(5)
        await self.bring_up(name)

    async def broker(self) -> None:
        """Kill the broker, which forgets all that it had."""
        self._scene.broker.kill()
        await asyncio.sleep(self._chance.uniform(0.0, 3.0))
        await self._scene.broker.start()

    async def database(self) -> None:
        """Let the database crash."""
        await self._stop_database()
        await asyncio.sleep(self._chance.uniform(0.0, 3.0))
        await self._start_database()

    async def database_amid_start(self) -> None:
        """Start a process while the database is away."""
        name = self._any()
        await self._member(name).kill()
        await self._stop_database()
        coming = asyncio.create_task(self.bring_up(name))
        await asyncio.sleep(self._chance.uniform(0.5, 5.0))
        await self._start_database()
        await coming

    async def database_and_one(self) -> None:
        """Let the database crash when a process dies, and come back after it."""
        name = self._any()
        killing = asyncio.create_task(self._member(name).kill())
        await self._stop_database()
        await killing
        await self._start_database()
        await self.bring_up(name)

    async def everything(self) -> None:
        """Kill all of it."""
        await asyncio.gather(*(self._member(name).kill() for name in OURS), self._stop_database())
        self._scene.broker.kill()
        await asyncio.gather(
            *(self.bring_up(name) for name in self._chance.sample(OURS, len(OURS))),
            self._scene.broker.start(),
            self._start_database(),
        )

    async def connections(self) -> None:
        """End all connections to the database, again and again."""
        for _ in range(8):
            for kind in ("payments", "payments listen"):
                await self._scene.server.terminate(self._scene.installation.database_url, kind)
            await asyncio.sleep(self._chance.uniform(0.0, 0.2))

    async def bring_up(self, name: str) -> None:
        """Start a process until it is ready."""
        for _ in range(STARTS):
            try:
                await self._member(name).start()
            except AssertionError:
                self.premature_ends.append(name)
                await asyncio.sleep(0.5)
            else:
                return
        raise AssertionError(f"{name} does not start:\n{self._member(name).log[-3000:]}")

    async def kill(self, *names: str) -> None:
        """Kill processes at the same moment, and start them again."""
        await asyncio.gather(*(self._member(name).kill() for name in names))
        await asyncio.gather(*(self.bring_up(name) for name in names))

    async def _stop_database(self) -> None:
        await asyncio.to_thread(self._scene.server.stop, "immediate")

    async def _start_database(self) -> None:
        await asyncio.to_thread(self._scene.server.start)

    def _member(self, name: str) -> Member:
        return self._scene.installation.members[name]

    def _any(self) -> str:
        return self._chance.choice(OURS)
