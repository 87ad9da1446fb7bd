"""The processes of the compose file sell and stop without any right, where nothing can be written."""

import asyncio
import json
import os
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from broker_servers.broker_process import free_port, running_broker
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from stripe_sandbox.configuration import SandboxConfig
from stripe_sandbox.sandbox_server import open_sandbox

from .deployed_files import compose_processes
from .test_stopping_times import seconds

PAYMENTS = str(Path(sys.executable).with_name("payments"))
TOKEN, SECRET = "token", "whsec_readonly"
PATIENCE = 90.0
# Everything that is mounted becomes read-only for this process, and whatever rights it had are gone.
CONFINED = """
mount --make-rprivate / && awk '$3 !~ /^(proc|sysfs|devpts|mqueue|cgroup2?)$/ {print $2}' /proc/self/mounts |
    while read place; do mount -o bind,ro,remount "$place" 2>/dev/null; done
if touch "$1" 2>/dev/null; then echo "still writable" >&2; exit 99; fi
shift
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""


def may_confine() -> bool:
    """Say whether this machine lets us make a file system read-only for a process of ours."""
    command = ["unshare", "--mount", "mount", "-o", "bind,ro,remount", "/", "/"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


class Confined:
    """Runs commands as compose does, with its environment and what a test must say otherwise."""

    def __init__(self, folder: Path, changes: dict[str, str]) -> None:
        self._folder = folder
        composed = compose_processes()["serve"]["environment"]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PAYMENTS_")}
        self.environment = inherited | composed | {f"PAYMENTS_{name}": value for name, value in changes.items()}

    @asynccontextmanager
    async def started(self, name: str, *more: str, **variables: str) -> AsyncIterator[Process]:
        """Run a service of the compose file; its log goes where ours goes."""
        command = compose_processes()[name]["command"]
        process = await asyncio.create_subprocess_exec(
            *("unshare", "--mount", "sh", "-c", CONFINED, "sh", str(self._folder / "probe"), PAYMENTS, *command, *more),
            stdout=PIPE,
            cwd=self._folder,
            env=self.environment | variables,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def say(self, *arguments: str) -> Any:  # noqa: ANN401
        """Run a command beside them, and give the last line that it prints."""
        process = await asyncio.create_subprocess_exec(
            PAYMENTS, *arguments, stdout=PIPE, cwd=self._folder, env=self.environment
        )
        async with asyncio.timeout(PATIENCE):
            out, _ = await process.communicate()
        assert process.returncode == 0
        return out.decode()


async def ready(process: Process) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        assert json.loads(await process.stdout.readline())


async def stopped(processes: Sequence[Process]) -> float:
    """Tell all to end; gives how long the last one took."""
    began = time.monotonic()
    for process in processes:
        process.terminate()
    async with asyncio.timeout(PATIENCE):
        codes = [await process.wait() for process in processes]
    assert codes == [0] * len(codes)
    return time.monotonic() - began


@pytest.mark.timeout(300)
async def test_they_sell_and_stop_where_nothing_can_be_written(tmp_path: Path, postgres: PostgresServer) -> None:
    if not may_confine():
        pytest.skip("this machine lets nobody make a file system read-only")
    ports = {name: free_port() for name in ("grpc", "bridge")}
    bridge = f"http://127.0.0.1:{ports['bridge']}"
    sandbox_config = SandboxConfig(
        port=0, database=tmp_path / "sandbox.db", webhook_url=f"{bridge}/webhooks/stripe", webhook_secrets=(SECRET,)
    )
    async with (
        postgres.new_database(migrated=False) as url,
        running_broker(Valkey()) as broker,
        open_sandbox(sandbox_config) as sandbox,
        aiohttp.ClientSession() as http,
    ):
        confined = Confined(
            tmp_path,
            {
                "DATABASE_URL": url,
                "BROKER_URL": broker.url,
                "GRPC_ADDRESS": f"0.0.0.0:{ports['grpc']}",
                "BRIDGE_ADDRESS": f"0.0.0.0:{ports['bridge']}",
                "STRIPE_API_KEY": "sk_test_1",
                "STRIPE_API_BASE": sandbox.url,
                "STRIPE_WEBHOOK_SECRETS": SECRET,
                "PUBLIC_URL": bridge,
                "TARGET": f"127.0.0.1:{ports['grpc']}",
                "TOKEN": TOKEN,
                "CALLERS_FILE": str(callers_file(tmp_path)),
            },
        )
        async with confined.started("migrate") as migration:
            assert await migration.wait() == 0
        async with (
            confined.started("serve", "--json", PAYMENTS_METRICS_ADDRESS="127.0.0.1:0") as serve,
            confined.started("bridge", "--json", PAYMENTS_METRICS_ADDRESS="127.0.0.1:0") as taker,
            confined.started("worker", "--json", PAYMENTS_METRICS_ADDRESS="127.0.0.1:0") as worker,
        ):
            processes = (serve, taker, worker)
            await asyncio.gather(*(ready(process) for process in processes))
            health = [await confined.say("health", name) for name in ("serve", "bridge")]
            order = json.loads(await confined.say("checkout", "--json"))["order"]
            paid = await http.post(f"{sandbox.url}/_sandbox/sessions/{order['checkout_session_id']}/pay", json={})
            told = await confined.say("tail", "--json", "--from", "earliest", "--limit", "3")
            took = await stopped(processes)

    assert paid.status == 200
    assert [json.loads(line)["type"] for line in told.splitlines()][-1] == "TYPE_FULFILLED"
    assert "SERVING" in health[0]
    assert took < min(seconds(compose_processes()[name]["stop_grace_period"]) for name in ("serve", "bridge", "worker"))


def callers_file(folder: Path) -> Path:
    path = folder / "callers.toml"
    digest = sha256(TOKEN.encode()).hexdigest()
    rights = 'role = "operator"\norganizations = ["*"]\npurchase_types = ["*"]\n'
    path.write_text(f'[[callers]]\nname = "shop"\ntoken_sha256 = ["{digest}"]\n{rights}')
    return path
