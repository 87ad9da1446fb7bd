"""A group over the wire: servers and members are processes, killed, frozen and closed by chance while the log grows.

What the members wrote down is judged by the same checker as everywhere.
"""

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from broker_servers.broker_process import free_port
from event_log.log_scene import UNCLAIMED, Scene, everyone, read_log, staged

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.contract.pb.payments.v1.subscriber_pb2 import Subscriber
from payments_service.event_log.subscriber_registry import SubscriberRegistry
from payments_service.scope import EVERYTHING
from payments_service.storage.exception_rows import Visible, list_parked
from payments_service.storage.subscriber_rows import read_places

from .backlog_end import backlog_ends
from .contract_stubs import make_stubs
from .group_checker import History, check
from .group_machine import now

SERVER, MEMBER = (Path(__file__).with_name(name) for name in ("plain_server.py", "contract_member.py"))
NAME, SHARDS, MAX_ATTEMPTS, ORDERS = "wire", 8, 6, 60
MEMBERS = 3
NACKS = 0.08
POISON = 100
"""One event in so many always fails."""
FROZEN = 2.5
"""Longer than the servers' leases."""
STALL = 40.0


class WireMachine:
    """One story; `run` it, then `finish` it, which checks it."""

    def __init__(self, scene: Scene, url: str, folder: Path, servers: int, seed: int) -> None:
        self._scene, self._url = scene, url
        self._chance = random.Random(seed)  # noqa: S311
        self._folder = folder
        self._stubs = make_stubs(folder / "stubs")
        self._written = folder / "history.jsonl"
        self._written.touch()
        self._ports = [free_port() for _ in range(servers)]
        self._servers: dict[int, asyncio.subprocess.Process] = {}
        self._members: dict[str, asyncio.subprocess.Process] = {}
        self._processes: list[asyncio.subprocess.Process] = []
        self._thawing: set[asyncio.Task[None]] = set()
        self._numbers = 0
        self._wanted: list[str] = []
        self._floors: list[dict[int, int]] = []
        self._registry = SubscriberRegistry(scene.database, now, lambda _: None)
        self.happened: Counter[str] = Counter()

    async def run(self, rounds: int) -> None:
        """Let the log grow, and each kind of trouble happen as often, in an order of chance."""
        asked = Subscriber(subscriber=NAME, shard_count=SHARDS, max_attempts=MAX_ATTEMPTS)
        await self._registry.create(asked, StartPosition(earliest=True), everyone())
        await asyncio.gather(*(self._serve(port) for port in self._ports))
        for _ in range(MEMBERS):
            await self._join()
        kinds: list[Callable[[], Awaitable[None]]]
        kinds = [self._kill_member, self._freeze_member, self._close_member, self._kill_server, self._freeze_server]
        for _ in range(rounds):
            self._chance.shuffle(kinds)
            for trouble in kinds:
                await self._grow()
                await self._look()
                await trouble()
                await asyncio.sleep(self._chance.uniform(0.2, 0.8))

    async def finish(self) -> None:
        """Let those that are there do the rest, and judge the whole story."""
        await asyncio.gather(*self._thawing)
        await backlog_ends(self._registry, NAME, self._look, stall=STALL, pause=0.1)
        await self._judge()

    async def close(self) -> None:
        """Kill all that still runs."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.kill()
        await asyncio.gather(*(process.wait() for process in self._processes))
        await asyncio.gather(*self._thawing)

    async def _grow(self) -> None:
        events = []
        for _ in range(self._chance.randrange(20, 60)):
            self._numbers += 1
            is_foreign = self._chance.random() < 0.1
            order = f"ord_{self._chance.randrange(ORDERS)}"
            kind = {"event_type": UNCLAIMED} if is_foreign else {}
            events.append(staged(self._numbers, order=order, **kind))  # type: ignore[arg-type]
            if not is_foreign:
                self._wanted.append(events[-1].event_id)
        await self._scene.stage(*events)

    async def _serve(self, port: int) -> None:
        command = (sys.executable, str(SERVER), self._url, str(port))
        written = self._folder / f"server-{len(self._processes)}.log"
        with written.open("wb") as log:
            process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        self._processes.append(process)
        self._servers[port] = process
        while "ready" not in written.read_text():  # it is a file
            assert process.returncode is None, written.read_text()
            await asyncio.sleep(0.02)

    async def _join(self) -> None:
        self.happened["joined"] += 1
        name = f"m{self.happened['joined']}"
        wish = {
            "stubs": str(self._stubs),
            "servers": [f"127.0.0.1:{port}" for port in self._ports],
            "subscriber": NAME,
            "name": name,
            "credit": self._chance.choice([3, 30]),
            "history": str(self._written),
            "seed": self._chance.random(),
            "poison": POISON,
            "nacks": NACKS,
            "work": 0.002,
        }
        with (self._folder / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(sys.executable, str(MEMBER), json.dumps(wish), stderr=log)
        self._processes.append(process)
        self._members[name] = process

    async def _kill_member(self) -> None:
        name = self._chance.choice(list(self._members))
        self._members.pop(name).kill()
        self.happened["member killed"] += 1
        await self._join()

    async def _close_member(self) -> None:
        name = self._chance.choice(list(self._members))
        self._members.pop(name).terminate()
        self.happened["member closed"] += 1
        await self._join()

    async def _freeze_member(self) -> None:
        self.happened["member frozen"] += 1
        self._freeze(self._members[self._chance.choice(list(self._members))])

    async def _kill_server(self) -> None:
        port = self._chance.choice(self._ports)
        process = self._servers[port]
        process.kill()
        await process.wait()
        self.happened["server killed"] += 1
        await self._serve(port)

    async def _freeze_server(self) -> None:
        self.happened["server frozen"] += 1
        self._freeze(self._servers[self._chance.choice(self._ports)])

    def _freeze(self, process: asyncio.subprocess.Process) -> None:
        process.send_signal(signal.SIGSTOP)

        async def thaw() -> None:
            await asyncio.sleep(FROZEN)
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)

        self._thawing.add(asyncio.create_task(thaw()))

    async def _look(self) -> None:
        async with self._scene.database.reading() as reading:
            places = (await read_places(reading, [NAME]))[NAME]
        self._floors.append({place.shard: place.acked_through for place in places})

    async def _judge(self) -> None:
        async with self._scene.database.reading() as reading:
            log = [(event.event_id, event.order_id) for event in await read_log(reading)]
            everything = Visible(NAME, EVERYTHING, UNCLAIMED)
            parked = [row.entry.event_id for row in await list_parked(reading, everything, None, 10_000)]
        assert len(log) == self._numbers
        history = History(floors=list(self._floors))
        workers = set[str]()
        for line in self._written.read_text().splitlines():
            name, kind, event, *attempt = json.loads(line)
            match kind:
                case "handed":
                    history.handed.append((event, attempt[0]))
                case "effect":
                    history.effects.append(event)
                    workers.add(name)
                case _:
                    history.accepted.append(event)
        check(history, log, self._wanted, parked, [event for event, _ in log if _is_poison(event)])
        assert len(workers) > 1, "the work was shared"


def _is_poison(event: str) -> bool:
    return int(event[-8:]) % POISON == 0
