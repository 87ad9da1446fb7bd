"""`payments doctor` says in lines and in JSON what is wrong and what to do, whatever is missing or down."""

from itertools import pairwise
from pathlib import Path

from .command_line import CommandLine

EVERYTHING_WRONG = {
    "database_url": "postgresql://user:geheim@127.0.0.1:1/db",
    "broker_url": "amqp://user:geheim@127.0.0.1:1",
    "stripe_api_key": "sk_test_geheim",
    "stripe_api_base": "http://127.0.0.1:1",
    "callers_file": "none.toml",
    "tls_cert": "none.pem",
    "tls_key": "none.pem",
    "retention_days": "soon",
    "stripe_key": "geheim",
}


async def test_in_an_empty_folder_all_is_well_and_nothing_is_made(tmp_path: Path) -> None:
    finished = await CommandLine(tmp_path).run("doctor", "--json")

    assert (finished.code, finished.err) == (0, "")
    assert finished.json["healthy"]
    assert {finding["level"] for finding in finished.json["findings"]} == {"OK"}
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


async def test_whatever_is_wrong_at_once_is_all_said_with_what_to_do(tmp_path: Path) -> None:
    finished = await CommandLine(tmp_path, **EVERYTHING_WRONG).run("doctor")

    *lines, summary = finished.out.splitlines()
    problems = {line.split()[1] for line in lines if line.startswith("PROBLEM")}
    advice = [after.strip().startswith("To do: ") for line, after in pairwise(lines) if line[0] in "PW"]
    assert (finished.code, finished.err) == (1, "")
    assert problems == {"settings", "files", "database", "broker", "stripe"}
    assert all(advice)
    assert "geheim" not in finished.out
    assert "problems, " in summary


async def test_on_a_terminal_it_fits(tmp_path: Path) -> None:
    shown = await CommandLine(tmp_path, broker_url="redis://127.0.0.1:1").on_terminal("doctor", columns=80)

    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "To do: Start it" in shown
    assert "1 problem, 0 warnings." in shown
