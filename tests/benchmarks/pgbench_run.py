"""Runs pgbench on a server's database with a script of our own: what the machine gives without a line of ours."""

import asyncio
import os
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

from database_servers.postgres_server import PostgresServer

SECONDS = 5


class Benched(NamedTuple):
    """Scripts a second, and how long one took in milliseconds."""

    rate: float
    p50: float
    p99: float


async def run_pgbench(server: PostgresServer, url: str, script: str, clients: int) -> Benched:
    """Let so many clients run the script over and over."""
    with tempfile.TemporaryDirectory(prefix="payments-pgbench-") as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script)
        how = [
            "--no-vacuum",
            "--protocol=prepared",
            f"--file={path}",
            f"--time={SECONDS}",
            "--log",
            f"--client={clients}",
        ]
        where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "payments", url.rpartition("/")[2]]
        process = await asyncio.create_subprocess_exec(
            str(server.programs / "pgbench"),
            *how,
            *where,
            cwd=folder,
            env={**os.environ, "PGOPTIONS": "-c default_transaction_isolation=read\\ committed"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        told, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()[-2000:]
        (line,) = (line for line in told.decode().splitlines() if line.startswith("tps"))
        ranks = statistics.quantiles(_milliseconds(Path(folder)), n=100)
    return Benched(float(line.split()[2]), ranks[49], ranks[98])


def _milliseconds(folder: Path) -> list[float]:
    """Read pgbench's own logs: the third column is how long a script took, in microseconds."""
    return [
        int(line.split()[2]) / 1000 for log in folder.glob("pgbench_log.*") for line in log.read_text().splitlines()
    ]
