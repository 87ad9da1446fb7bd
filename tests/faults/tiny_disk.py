"""A disk of a few megabytes that a test can fill: a file system in memory, which only root may mount."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PIECE = b"\0" * 65_536


class TinyDisk:
    """A folder that can be full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def room_for(self, user: int | None) -> Path:
        """Give a folder of a user's own; None is the test's."""
        room = self.folder / "room"
        room.mkdir()
        if user is not None:
            os.chown(room, user, user)
        return room

    def fill(self) -> None:
        """Leave no room at all."""
        try:
            with self._filler.open("ab", buffering=0) as file:
                while file.write(PIECE):
                    pass
        except OSError:
            return

    def clear(self) -> None:
        """Make room again."""
        self._filler.unlink(missing_ok=True)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave no room meanwhile."""
        self.fill()
        try:
            yield
        finally:
            self.clear()


@contextmanager
def tiny_disk(megabytes: int) -> Iterator[TinyDisk]:
    """Mount one where every user comes to; skips where that is not allowed."""
    folder = Path(tempfile.mkdtemp(prefix="payments-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"A file system of a test's own needs root: {mounted.stderr.strip()}")
    try:
        yield TinyDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()
