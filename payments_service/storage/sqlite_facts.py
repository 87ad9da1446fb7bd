"""Looks at a SQLite file and its folder, beside the process that owns it; it judges nothing and makes nothing."""

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from payments_service.errors import StorageUnavailableError

PATIENCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class SqliteFacts:
    """What the file, its folder and the library say."""

    path: Path
    exists: bool
    owned: bool
    """Whether a process of the service has it open."""
    writable: bool
    """Whether this user may write the file, or make it."""
    free_bytes: int
    library: tuple[int, int, int]
    journal_mode: str = ""
    revision: str | None = None


def has_file(url: str) -> bool:
    """Say whether the file is there."""
    return Path(make_url(url).database or "").is_file()


def read_sqlite_facts(url: str) -> SqliteFacts:
    """Look at the file; raises StorageUnavailableError where it cannot be read as a database."""
    path = Path(make_url(url).database or "").absolute()
    folder = next(parent for parent in path.parents if parent.exists())
    exists = path.exists()
    journal_mode, revision = _inside(path) if exists else ("", None)
    return SqliteFacts(
        path=path,
        exists=exists,
        owned=_owned(path.with_name(f"{path.name}.lock")),
        # The log beside the file is made and removed all the time, so that the folder must be writable as well.
        writable=folder.is_dir() and os.access(folder, os.W_OK) and (not exists or os.access(path, os.W_OK)),
        free_bytes=shutil.disk_usage(folder).free,
        library=sqlite3.sqlite_version_info,
        journal_mode=journal_mode,
        revision=revision,
    )


def _inside(path: Path) -> tuple[str, str | None]:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=PATIENCE_SECONDS)) as file:
            journal_mode = str(file.execute("PRAGMA journal_mode").fetchone()[0])
            made = file.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            row = file.execute("SELECT version_num FROM alembic_version").fetchone() if made else None
    except sqlite3.Error as error:
        raise StorageUnavailableError("The file cannot be read.") from error
    return journal_mode, None if row is None else str(row[0])


def _owned(lock: Path) -> bool:
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
