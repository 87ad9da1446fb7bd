"""The wheel: installed by itself it works with the oldest runtime that it names, and with the newest."""

import asyncio
import os
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import grpc
import pytest

from .contract_server import Serving, serving
from .group_server import GroupServer
from .log_server import LogServer, log_of
from .test_client_calls import Desk

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
OLDEST = ROOT / ".venv" / "client-oldest" / "bin" / "python"
"""Made by `make setup` from requirements/client-oldest.txt; it is also the compiler of the client's stubs."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert OLDEST.exists(), "run `make setup`"
    folder = tmp_path_factory.mktemp("wheel")
    build: list[str | Path] = [OLDEST, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=ROOT / "clients" / "python", check=True, capture_output=True)
    (built,) = folder.glob("payments_client-*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path) -> Path:
    folder = wheel.parent / "site"
    install: list[str | Path] = [SCRIPTS / "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--target", folder, wheel]
    subprocess.run(install, check=True, capture_output=True)
    return folder


def test_it_holds_the_package_its_types_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert "payments_client/py.typed" in names
    assert "payments_client/pb/payments/v1/payments_pb2.pyi" in names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"payments_client"}


def test_it_asks_for_no_newer_runtime_than_its_stubs_need(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    required = message_from_bytes(archive.read(metadata)).get_all("Requires-Dist")

    assert required == ["googleapis-common-protos>=1.70", "grpcio>=1.80.1", "protobuf<8,>=6.33.5"]


@pytest.mark.parametrize(
    ("python", "versions"),
    [(OLDEST, "1.80.1 6.33.5"), (Path(sys.executable), f"{grpc.__version__} 7.")],
    ids=["oldest", "newest"],
)
async def test_it_works_with_the_runtime(site: Path, python: Path, versions: str) -> None:
    methods: dict[str, Serving] = {
        "CreateCheckout": Desk().create,
        "StreamFulfillments": LogServer(20, seed=0, chance=0.1).stream,
        "ConsumeFulfillments": GroupServer(log_of(5)).consume,
    }
    async with serving(methods) as address:
        using = await asyncio.create_subprocess_exec(
            python,
            Path(__file__).with_name("wheel_user.py"),
            address,
            env={**os.environ, "PYTHONPATH": str(site)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        output, errors = await using.communicate()

    assert using.returncode == 0, errors.decode()
    assert output.decode().startswith(f"{site}/payments_client/__init__.py {versions}")
