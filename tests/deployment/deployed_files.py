"""Reads the files of deploy/, and what they may name."""

import re
from pathlib import Path
from typing import Any

import typer
import yaml

from payments_service.cli.app import app
from payments_service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
KUBERNETES = DEPLOY / "kubernetes"
SYSTEMD = DEPLOY / "systemd"
VARIABLES = {f"PAYMENTS_{name.upper()}" for name in Settings.model_fields}
COMMANDS = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # it is a group
Json = dict[str, Any]


def compose_file() -> Json:
    """Read the compose file, its anchors filled in."""
    read: Json = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return read


def compose_processes() -> dict[str, Json]:
    """Give the services that run the image."""
    services = compose_file()["services"]
    return {name: service for name, service in services.items() if "payments-service" in service["image"]}


def manifests() -> list[Json]:
    """Read every object of the manifests; kustomization files are none."""
    files = [path for path in sorted(KUBERNETES.rglob("*.yaml")) if path.name != "kustomization.yaml"]
    return [each for path in files for each in yaml.safe_load_all(path.read_text())]


def of_kind(kind: str) -> dict[str, Json]:
    """Give the manifests of a kind by name."""
    return {each["metadata"]["name"]: each for each in manifests() if each["kind"] == kind}


def pods() -> dict[str, Json]:
    """Give what runs, by the deployment's or job's name."""
    return {name: each["spec"]["template"] for name, each in (of_kind("Deployment") | of_kind("Job")).items()}


def units() -> dict[str, dict[str, list[str]]]:
    """Read the units: each key with all its values."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted(SYSTEMD.glob("*.service")):
        lines = re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE)
        found[path.stem] = {key: [value for name, value in lines if name == key] for key, _ in lines}
    return found


def env_file(path: Path) -> dict[str, str]:
    """Read a file of variables."""
    lines = (line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def instructions() -> list[str]:
    """Read the Dockerfile, a line an instruction."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    return [" ".join(line.split()) for line in text.splitlines() if line.strip() and not line.startswith("#")]
