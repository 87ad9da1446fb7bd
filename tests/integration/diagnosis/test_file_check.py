"""Files that a setting names are read as the processes read them, and a certificate as a client sees it."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from payments_service.diagnosis.file_check import check_files, judge_certificate
from payments_service.diagnosis.finding import Finding, Level
from payments_service.settings import read_settings

from .findings import messages, only

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
CALLERS = '[[callers]]\nname = "shop"\nrole = "caller"\norganizations = ["*"]\npurchase_types = ["*"]\n'


def certificate(folder: Path, *options: str) -> dict[str, Path]:
    """Make a pair; the settings that name it."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem"
    )
    subprocess.run([*command.split(), *options], cwd=folder, check=True, capture_output=True)
    return {"tls_cert": folder / "cert.pem", "tls_key": folder / "key.pem"}


def expired(folder: Path) -> dict[str, Path]:
    """Make a pair whose certificate was good until yesterday."""
    files = certificate(folder)
    for command in (
        "openssl req -new -key key.pem -subj /CN=localhost -out request.pem",
        "openssl x509 -req -in request.pem -signkey key.pem -days -1 -out cert.pem",
    ):
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return files


async def look(**changes: object) -> list[Finding]:
    return await check_files(read_settings(**changes))


async def test_a_certificate_that_is_good_for_long_is_well(tmp_path: Path) -> None:
    findings = await look(**certificate(tmp_path, "-days", "90"))

    assert messages(findings) == []
    assert only(findings, "good for 89 days").level is Level.OK


async def test_a_certificate_that_has_expired_is_a_problem(tmp_path: Path) -> None:
    assert "it has expired" in messages(await look(**expired(tmp_path)), Level.PROBLEM)[0]


async def test_a_certificate_that_soon_expires_is_a_warning(tmp_path: Path) -> None:
    assert "expires in 4 days" in messages(await look(**certificate(tmp_path, "-days", "5")), Level.WARNING)[0]


async def test_a_key_of_another_certificate_is_a_problem(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one, other = certificate(tmp_path / "one"), certificate(tmp_path / "other")

    found = messages(await look(tls_cert=one["tls_cert"], tls_key=other["tls_key"]), Level.PROBLEM)

    assert "that belong together" in found[0]


async def test_a_callers_file_is_read_as_the_service_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "callers.toml"
    missing = await look(callers_file=path)
    path.write_text(f"{CALLERS}token_sha256 = []\n")
    mute = await look(callers_file=path)
    path.write_text(f'{CALLERS}token_sha256 = ["{"ab" * 32}"]\n')
    well = await look(callers_file=path)
    path.write_text(f'{CALLERS}token_sha256 = ["secret"]\n')
    wrong = await look(callers_file=path)

    assert "cannot be read" in messages(missing, Level.PROBLEM)[0]
    assert messages(mute, Level.WARNING) == ["Without a token nobody can call as shop."]
    assert messages(well) == []
    assert "token_sha256 is not the 64 hex digits" in messages(wrong, Level.PROBLEM)[0]


def test_a_certificate_is_judged_by_the_days_that_are_left() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    levels = [judge_certificate(Path("c"), now + timedelta(days=days), "", now).level for days in (20, 22)]

    assert levels == [Level.WARNING, Level.OK]
    assert judge_certificate(Path("c"), None, "it is not valid yet", now).level is Level.PROBLEM
