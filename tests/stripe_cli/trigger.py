"""Fetches Stripe's command line once and triggers events with it; where it cannot be had, the test is skipped."""

import asyncio
import base64
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

VERSION = "1.52.0"
INTEGRITY = "q5x2AIP0ZSujN7iJNIdSPerRfQ/08OTWw9ukhCyxvlo2JAfu6xf8cIGhyDv6vZsQuoh4cn3c2tNJ0J+oY+Z37Q=="
"""The package's SHA-512 as npm tells it."""
KEY = "sk_test_xxxxxxxxxxxx"
_PACKAGE = f"@stripe/cli-linux-x64@{VERSION}"
_FETCH_SECONDS = 40
_TRIGGER_SECONDS = 30


def stripe_binary() -> Path:
    """Give the binary, from the cache or from npm; skips where neither has it, and in CI, which fetches nothing."""
    cached = _cache() / f"stripe-{VERSION}"
    if cached.exists():
        return cached
    if "CI" in os.environ:
        pytest.skip("CI does not fetch Stripe's command line")
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip(f"there is no {_PACKAGE} for {sys.platform} on {platform.machine()}")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, and has Stripe's command line")
    _fetch(cached)
    return cached


async def trigger(binary: Path, sandbox_url: str, event_type: str, *options: str) -> str:
    """Trigger an event as a developer does, and give what was printed; fails where the command does."""
    with tempfile.TemporaryDirectory() as home:
        quiet = {"HOME": home, "XDG_CONFIG_HOME": home, "STRIPE_CLI_TELEMETRY_OPTOUT": "1"}
        command = [str(binary), "trigger", event_type, "--api-base", sandbox_url, "--api-key", KEY, *options]
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **quiet},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(_TRIGGER_SECONDS):
            printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "payments-service-tests"


def _fetch(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fetched = Path(folder) / "fetched"
        fetched.write_bytes(_unpacked(_packed(folder)))
        fetched.chmod(0o755)
        # Two tests may fetch at once: whoever is later puts the same in the same place.
        fetched.replace(target)


def _packed(folder: str) -> bytes:
    command = ["npm", "pack", _PACKAGE, "--pack-destination", folder]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_FETCH_SECONDS, cwd=folder)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm did not give {_PACKAGE}: {error}")
    (packed,) = Path(folder).glob("*.tgz")
    body = packed.read_bytes()
    assert base64.b64encode(hashlib.sha512(body).digest()).decode() == INTEGRITY, f"{packed.name} is not what it was"
    return body


def _unpacked(packed: bytes) -> bytes:
    with tempfile.TemporaryFile() as file:
        file.write(packed)
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            member = archive.extractfile("package/bin/stripe")
            assert member is not None
            return member.read()
