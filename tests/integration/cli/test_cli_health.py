"""`payments health` says of each process whether it is at work, and of none that is not."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from payments_service.bootstrap import open_service
from payments_service.process_parts import Role
from payments_service.settings import Settings, read_settings

from .command_line import CommandLine

CALLERS = '[[callers]]\nname = "a"\ntoken_sha256 = []\nrole = "caller"\norganizations = ["*"]\npurchase_types = ["*"]\n'


def settings_in(folder: Path, **changes: object) -> Settings:
    files = {"database_url": f"sqlite:///{folder}/payments.db", "sandbox_database": folder / "sandbox.db"}
    free = {f"{name}_address": "127.0.0.1:0" for name in ("grpc", "bridge", "sandbox", "metrics")}
    return read_settings(**(files | free | changes))


async def test_each_process_is_asked_in_its_own_way(tmp_path: Path) -> None:
    payments = CommandLine(tmp_path)
    async with open_service(settings_in(tmp_path), frozenset(Role)) as running:
        payments = CommandLine(
            tmp_path,
            grpc_address=running.grpc_address,
            bridge_address=running.bridge_url.removeprefix("http://"),
            metrics_address=running.metrics_url.removeprefix("http://").removesuffix("/metrics"),
        )
        answers = [await payments.run("health", process) for process in ("serve", "bridge", "worker")]
        whichever = await payments.run("health", "--json", grpc_address="127.0.0.1:1")
    gone = await payments.run("health")

    assert [answer.code for answer in answers] == [0, 0, 0]
    assert ["SERVING" in answers[0].out, "/healthz: 200" in answers[1].out, "/metrics: 200" in answers[2].out] == 3 * [
        True
    ]
    assert json.loads(whichever.out) == {"healthy": True, "answer": f"{running.bridge_url}/healthz: 200"}
    assert (gone.code, gone.out) == (1, "")
    assert gone.err.startswith("Error: gRPC at ")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
async def test_a_server_with_a_certificate_for_another_name_is_asked_too(tmp_path: Path) -> None:
    make_certificate(tmp_path, "payments.example")
    (tmp_path / "callers.toml").write_text(CALLERS)
    tls = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    async with open_service(settings_in(tmp_path, **tls), frozenset(Role)) as running:
        payments = CommandLine(tmp_path, **{name: str(path) for name, path in tls.items()})
        answer = await payments.run("health", "serve", grpc_address=running.grpc_address)

    assert (answer.code, answer.err) == (0, "")


def make_certificate(folder: Path, name: str) -> None:
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN={name} "
        f"-addext subjectAltName=DNS:{name} -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


async def test_a_worker_that_listens_nowhere_is_said_to(tmp_path: Path) -> None:
    finished = await CommandLine(tmp_path).run("health", "worker")

    assert finished.code == 1
    assert "PAYMENTS_METRICS_ADDRESS" in finished.err
