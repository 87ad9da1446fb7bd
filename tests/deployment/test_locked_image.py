"""The image has the locked versions that are tested, and nothing that is only for working on the code."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from .deployed_files import ROOT, instructions

BESIDE = {"payments-service", "payments-client", "setuptools", "pip", "coverage", "grpcio-tools"}
"""Ourselves, what a venv or a test run brings into every process, and what gRPC takes where it is there."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([a-z0-9_.-]+)==([^ ;\\]+)", text, re.MULTILINE))


IMPORTED = """
import sys
from importlib.metadata import packages_distributions
import payments_service.diagnosis.doctor, payments_service.cli.app
from payments_service.actors.broker import make_broker
make_broker("redis://127.0.0.1:1"), make_broker("amqp://127.0.0.1:1")
distributions = packages_distributions()
print(*{",".join(distributions.get(module.partition(".")[0], [])) for module in sys.modules}, sep="\\n")
"""


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~ ]", requirement)[0].lower()


def test_the_image_has_the_versions_that_are_tested() -> None:
    assert pins("image.txt").items() <= pins("locked.txt").items()
    assert {name_of(each) for each in PROJECT["project"]["dependencies"]} <= set(pins("image.txt"))
    assert {"pika", "redis"} <= set(pins("image.txt"))


def test_what_the_service_imports_is_in_the_image() -> None:
    told = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    there = set(pins("image.txt")) | BESIDE
    # One of them suffices where several distributions share a name, such as google.
    imported = [line.lower().replace("_", "-").split(",") for line in told.split()]

    assert len(imported) > 30
    assert [names for names in imported if there.isdisjoint(names)] == []


def test_the_image_has_nothing_that_is_only_for_working_on_the_code() -> None:
    needed_too = {"protobuf"}
    tools = {name_of(each) for each in PROJECT["project"]["optional-dependencies"]["dev"]} - needed_too

    assert tools & set(pins("image.txt")) == set()


def test_every_package_of_the_image_is_known_by_its_hash() -> None:
    for name in ("image.txt", "image-build.txt"):
        text = (ROOT / "requirements" / name).read_text()
        assert len(re.findall(r"^[a-z0-9_.-]+==.*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(pins(name))


def test_what_builds_the_image_is_what_builds_the_package_here() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [uv] = re.findall(r"uv==[\d.]+", makefile)

    assert any(uv in line for line in instructions())
    assert PROJECT["build-system"]["requires"] == [f"hatchling=={pins('image-build.txt')['hatchling']}"]
    assert (
        Path(ROOT / "requirements" / "image-build.in").read_text().splitlines()[-1]
        == PROJECT["build-system"]["requires"][0]
    )


def test_the_image_is_made_in_two_stages_from_a_base_that_can_be_pinned() -> None:
    assert [line for line in instructions() if line.startswith("FROM")] == ["FROM ${BASE} AS build", "FROM ${BASE}"]
    assert any(line.startswith("HEALTHCHECK") for line in instructions())
    assert f"ARG VERSION={PROJECT['project']['version']}" in instructions()
