"""`payments up` says where it listens, and ends when told to; what cannot start says why."""

import asyncio
import signal
import socket
import time
from asyncio.subprocess import Process
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from .command_line import PATIENCE, CommandLine, next_json, next_line

FREE = {"grpc_address": "127.0.0.1:0", "bridge_address": "127.0.0.1:0", "sandbox_address": "127.0.0.1:0"}
KEY = {"stripe_api_key": "sk_test_x", "stripe_api_base": "http://127.0.0.1:1"}
POSTGRES = {"database_url": "postgresql://user:geheim@127.0.0.1:1/db"}
REDIS = {"broker_url": "redis://127.0.0.1:1"}
TLS = {"tls_cert": "none.pem", "tls_key": "none.pem"}


@pytest.fixture
def payments(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, **FREE)


async def stopped(process: Process, number: signal.Signals = signal.SIGTERM) -> float:
    """Tell a process to end, and say how long it took; it must end well."""
    began = time.monotonic()
    process.send_signal(number)
    async with asyncio.timeout(PATIENCE):
        await process.communicate()
    assert process.returncode == 0
    return time.monotonic() - began


async def ready_lines(process: Process) -> list[str]:
    """Read stdout up to the line that says that it is ready."""
    lines = [await next_line(process)]
    while not lines[-1].startswith("Ready: "):
        lines.append(await next_line(process))
    return lines


async def test_one_line_of_json_says_where_everything_listens(payments: CommandLine) -> None:
    async with payments.started("up", "--json") as process:
        running = await next_json(process)
        async with aiohttp.ClientSession() as http:
            for url in (f"{running['bridge_url']}/readyz", running["sandbox_url"]):
                async with http.get(url) as answer:
                    assert answer.status == 200
        status = await payments.run("status", target=running["grpc_address"])
        took = await stopped(process)

    assert status.code == 0
    assert running["webhook_secret"].startswith("whsec_")
    assert (running["database"], running["broker"]) == ("sqlite", "memory")
    assert took < 10


async def test_the_first_command_to_try_makes_a_page_that_can_be_paid(payments: CommandLine, tmp_path: Path) -> None:
    async with payments.started("up") as process:
        lines = await ready_lines(process)
        tries = [line.removeprefix("Try: ").partition("  (")[0] for line in lines if line.startswith("Try: ")]
        url = await first_url(tries[0], tmp_path)
        async with aiohttp.ClientSession() as http, http.get(url) as page:
            shown = await page.text()
        await stopped(process, signal.SIGINT)

    assert [line.split()[-1] for line in tries] == ["checkout", "tail", "orders"]
    assert "49.00" in shown
    assert ":0" not in " ".join(lines[-1].split())


async def test_a_restart_keeps_the_orders_and_a_tail_goes_on(tmp_path: Path) -> None:
    payments = CommandLine(tmp_path, **FREE | {"grpc_address": f"127.0.0.1:{free_port()}"})
    async with AsyncExitStack() as stack:
        async with payments.started("up", "--json") as first:
            running = await next_json(first)
            orders = [(await payments.run("checkout", "--json")).json["order"] for _ in range(2)]
            tail = await stack.enter_async_context(payments.started("tail", "--json", "--from", "earliest"))
            before = await paid_and_told(orders[0], running, tail)
            await stopped(first)
        async with payments.started("up", "--json") as second:
            running = await next_json(second)
            after = await paid_and_told(orders[1], running, tail)
            listed = (await payments.run("orders", "--json")).json["orders"]
            await stopped(second)

    assert [event["order_id"] for event in before + after] == 3 * [orders[0]["order_id"]] + 3 * [orders[1]["order_id"]]
    assert [order["fulfillment_state"] for order in listed] == 2 * ["FULFILLMENT_STATE_FULFILLED"]


async def test_on_a_terminal_a_panel_fits_and_names_what_to_try(payments: CommandLine) -> None:
    shown = await payments.on_terminal("up", columns=80, until="Ctrl-C stops it")

    panel = [line for line in shown.splitlines() if line.startswith(("╭", "│", "╰"))]
    assert panel, shown
    assert "payments is running" in panel[0]
    assert all(len(line) <= 80 for line in panel)
    assert "Webhook secret  whsec_" in shown
    assert "Try next, in another terminal:" in shown


async def test_with_a_key_there_is_no_sandbox_and_a_hint_how_webhooks_come(payments: CommandLine) -> None:
    async with payments.started("up", **KEY, stripe_webhook_secrets="whsec_x") as process:
        said = "\n".join(await ready_lines(process))
        await stopped(process)

    assert "stripe listen --forward-to http://127.0.0.1:" in said
    assert "Sandbox" not in said
    assert "whsec_x" not in said


async def test_whoever_opens_the_metrics_to_others_is_told_so(payments: CommandLine) -> None:
    async with payments.started("up", metrics_address="0.0.0.0:0") as process:
        [said] = [line for line in await ready_lines(process) if line.startswith("Metrics: ")]
        url = said.split()[1].replace("//0.0.0.0:", "//127.0.0.1:")
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            assert answer.status == 200
        await stopped(process)

    assert "open to others" in said


async def test_the_sandbox_runs_alone(payments: CommandLine) -> None:
    async with payments.started("sandbox", "--json") as process:
        running = await next_json(process)
        async with aiohttp.ClientSession() as http, http.get(running["sandbox_url"]) as overview:
            assert overview.status == 200
        await stopped(process)

    assert (running["grpc_address"], running["bridge_url"]) == ("", "")


@pytest.mark.parametrize(
    ("command", "variables", "complaint"),
    [
        ("serve", {}, "PAYMENTS_STRIPE_API_KEY is empty"),
        ("worker", KEY, "PAYMENTS_DATABASE_URL is a SQLite file"),
        ("bridge", KEY | POSTGRES, "PAYMENTS_STRIPE_WEBHOOK_SECRETS is empty"),
        ("serve", KEY | POSTGRES | REDIS | {"database_wait": "0"}, "user:***@127.0.0.1:1/db cannot be reached"),
        ("serve", KEY | POSTGRES | REDIS | {"tls_cert": "none.pem"}, "PAYMENTS_TLS_KEY is empty"),
        ("serve", KEY | POSTGRES | REDIS | TLS, "PAYMENTS_TLS_CERT: none.pem cannot be read"),
        (
            "worker",
            KEY | POSTGRES | REDIS | {"claimed_types": "voucher,course"},
            "PAYMENTS_CLAIMED_TYPES names course,",
        ),
        ("up", {"stripe_api_base": "http://127.0.0.1:1"}, "PAYMENTS_STRIPE_API_KEY is empty"),
        ("up", {"grpc_address": "0.0.0.0:0"}, "PAYMENTS_CALLERS_FILE"),
        ("up", {"sandbox_address": "0.0.0.0:0"}, "PAYMENTS_SANDBOX_ADDRESS"),
        ("up", {"sandbox_database": "/dev/null/sandbox.db"}, "PAYMENTS_SANDBOX_DATABASE"),
        ("up", {"metrics_address": "203.0.113.1:0"}, "PAYMENTS_METRICS_ADDRESS"),
    ],
)
async def test_what_cannot_start_says_why_in_one_sentence(
    payments: CommandLine, command: str, variables: dict[str, str], complaint: str
) -> None:
    finished = await payments.run(command, **variables)

    assert (finished.code, finished.out) == (1, "")
    last = finished.err.splitlines()[-1]
    assert last.startswith("Error: ")
    assert complaint in last
    assert "geheim" not in finished.err


async def test_a_second_one_in_the_same_folder_is_refused(payments: CommandLine) -> None:
    async with payments.started("up", "--json") as first:
        running = await next_json(first)
        same_folder = await payments.run("up")
        same_ports = await payments.run(
            "up",
            database_url="sqlite:///other.db",
            sandbox_database="other_sandbox.db",
            bridge_address=running["bridge_url"].removeprefix("http://"),
        )
        await stopped(first)

    for refused, named in ((same_folder, "database"), (same_ports, "PAYMENTS_BRIDGE_ADDRESS")):
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.splitlines()[-1].startswith("Error: ")
        assert named in refused.err


async def first_url(command: str, folder: Path) -> str:
    """Run a command as it was printed, in a shell, and give the address that it prints."""
    process = await asyncio.create_subprocess_shell(command, cwd=folder, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out.decode().splitlines()[-1]


async def paid_and_told(order: Any, running: Any, tail: Process) -> list[Any]:  # noqa: ANN401
    """Have the buyer pay, and give the three events that the tail tells of."""
    url = f"{running['sandbox_url']}/_sandbox/sessions/{order['checkout_session_id']}/pay"
    async with aiohttp.ClientSession() as http, http.post(url, json={}) as answer:
        assert answer.status == 200
    return [await next_json(tail) for _ in range(3)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
