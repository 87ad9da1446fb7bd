"""The `payments` command: its commands by what they are for, and the one place where an error becomes a sentence."""

import sys
from typing import Annotated

import typer

from payments_service.cli.event_commands import events, replay, status, tail
from payments_service.cli.order_commands import (
    checkout,
    complete,
    entitlements,
    expire,
    explain,
    fail,
    order,
    orders,
    retry,
)
from payments_service.cli.process_commands import bridge, doctor, health, migrate, sandbox, serve, settings, up, worker
from payments_service.errors import PaymentsError

PANELS = {
    "Run it": (up, serve, bridge, worker, sandbox, migrate, settings, doctor, health),
    "Sell": (checkout, orders, order, expire, entitlements),
    "Follow": (tail, explain, status),
    "Own what is sold": (complete, fail),
    "Put things right": (events, replay, retry),
}
app = typer.Typer(
    name="payments",
    help="Sell by Stripe Checkout, and see without loss what was paid and fulfilled.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _panel, _commands in PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)


def main() -> None:
    """Run a command: an expected error is one sentence on stderr and exit code 1, a wrong usage is 2."""
    try:
        app(prog_name="payments")
    except PaymentsError as error:
        _complain(error.message)
        sys.exit(1)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("payments-service"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take what goes before any command."""


def _complain(message: str) -> None:
    from payments_service.cli.terminal import notices

    notices().print(f"Error: {message}", style="red", soft_wrap=True)
