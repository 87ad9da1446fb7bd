"""Says where a process listens and what to try next, with the real ports: a panel, plain lines, or a line of JSON."""

import json
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from payments_service.cli.terminal import output
from payments_service.monitoring.metrics_endpoint import metrics_notice
from payments_service.process_parts import Running
from payments_service.settings import Settings

Facts = list[tuple[str, str]]
DEFAULT_TARGET = "127.0.0.1:50051"


def report_readiness(settings: Settings, running: Running, *, as_json: bool) -> None:
    """Report once; whoever waits for the first line on stdout may go on."""
    if as_json:
        line = json.dumps(asdict(running))
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        return
    console = output()
    if console.is_terminal:
        _show_panel(console, settings, running)
    else:
        _print_lines(console, settings, running)
    console.file.flush()


def next_steps(settings: Settings, running: Running) -> Facts:
    """Give three commands with what each does; only where all of the service runs."""
    if not (running.grpc_address and running.bridge_url):
        return []
    if not running.sandbox_url:
        forward = f"stripe listen --forward-to {running.bridge_url}/webhooks/stripe"
        return [(forward, "bring Stripe's test webhooks here; it prints the secret to set"), *_own_steps(running)[:2]]
    return _own_steps(running)


def _own_steps(running: Running) -> Facts:
    command = _command(running)
    return [
        (f"{command} checkout", "makes a checkout: open its page and pay"),
        (f"{command} tail", "meanwhile shows it being paid and fulfilled"),
        (f"{command} orders", "lists what was sold; `explain` tells an order's story"),
    ]


def _command(running: Running) -> str:
    """Give the command as it can be typed in another terminal, in this folder."""
    target = "" if running.grpc_address == DEFAULT_TARGET else f"PAYMENTS_TARGET={running.grpc_address} "
    return target + _executable(Path(sys.argv[0]).absolute())


def _executable(started: Path) -> str:
    if started.name != "payments":
        return f"{_from_here(Path(sys.executable))} -m payments_service"
    found = shutil.which("payments")
    return "payments" if found and Path(found).absolute() == started else _from_here(started)


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _facts(settings: Settings, running: Running) -> Iterator[tuple[str, str]]:
    yield "gRPC", running.grpc_address
    yield "Webhooks", f"{running.bridge_url}/webhooks/stripe" if running.bridge_url else ""
    yield "Sandbox Stripe", running.sandbox_url
    yield "Webhook secret", running.webhook_secret
    yield "Metrics", metrics_notice(running.metrics_url)
    yield "Database", f"{running.database} {_database_file(settings)}".strip()
    yield "Broker", running.broker
    yield "Stripe", _stripe(settings) if not running.sandbox_url else ""


def _database_file(settings: Settings) -> str:
    return settings.database_url.partition("///")[2] if settings.embedded else ""


def _stripe(settings: Settings) -> str:
    mode = "live" if "_live_" in settings.stripe_key else "test"
    return f"{mode} mode" + (f" at {settings.stripe_api_base}" if settings.stripe_api_base else "")


def _show_panel(console: Console, settings: Settings, running: Running) -> None:
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(settings, running):
        if value:
            facts.add_row(name, Text(value))
    console.print(Panel(facts, title="payments is running", title_align="left", border_style="green", expand=False))
    steps = next_steps(settings, running)
    if steps:
        console.print("Try next, in another terminal:")
    for line in _step_lines(steps):
        console.print(line, soft_wrap=True)
    console.print(Text("Ctrl-C stops it; nothing is lost.", style="dim"))


def _step_lines(steps: Facts) -> Iterator[Text]:
    for command, purpose in steps:
        yield Text.assemble("  ", (command, "bold cyan"), "\n      ", (purpose, "dim"))


def _print_lines(console: Console, settings: Settings, running: Running) -> None:
    for name, value in _facts(settings, running):
        if value:
            console.print(f"{name}: {value}", soft_wrap=True)
    for command, purpose in next_steps(settings, running):
        console.print(f"Try: {command}  ({purpose})", soft_wrap=True)
    listening = [running.grpc_address, running.bridge_url, running.sandbox_url]
    console.print(f"Ready: {', '.join(filter(None, listening)) or 'at work'}", soft_wrap=True)
