"""Commands that start a process or prepare one: what each takes; process_launch.py and its neighbours do it.

What a command needs is imported when it runs: `payments --help` waits for none of it.
"""

import json
from typing import Annotated

import typer

from payments_service.cli.option_types import ProcessWord

Ready = Annotated[bool, typer.Option("--json", help="Report readiness as one line of JSON on stdout.")]


def up(as_json: Ready = False) -> None:
    """Start all of it in one process; without a Stripe key, a sandbox Stripe too."""
    from payments_service.cli.process_launch import launch_everything

    launch_everything(as_json=as_json)


def serve(as_json: Ready = False) -> None:
    """Start the gRPC server."""
    from payments_service.cli.process_launch import launch

    launch("GRPC", as_json=as_json)


def bridge(as_json: Ready = False) -> None:
    """Start the HTTP bridge that takes Stripe's webhooks."""
    from payments_service.cli.process_launch import launch

    launch("BRIDGE", as_json=as_json)


def worker(
    processes: Annotated[
        int | None, typer.Option(min=1, max=256, help="How many processes; else PAYMENTS_WORKER_PROCESSES.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=256, help="Threads of each; else PAYMENTS_WORKER_THREADS.")
    ] = None,
    lifeline: Annotated[bool, typer.Option("--lifeline", hidden=True)] = False,
    as_json: Ready = False,
) -> None:
    """Start a worker: it applies events, fulfills, and sweeps up what was left."""
    from payments_service.cli.worker_launch import launch_worker

    launch_worker(processes, threads, lifeline=lifeline, as_json=as_json)


def sandbox(as_json: Ready = False) -> None:
    """Start the sandbox Stripe alone."""
    from payments_service.cli.process_launch import launch

    launch("SANDBOX", as_json=as_json)


def migrate(as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False) -> None:
    """Bring the database's schema to this version; `payments up` does it by itself."""
    from payments_service.cli.schema_migration import migrate_schema

    migrate_schema(as_json=as_json)


def settings(as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False) -> None:
    """Print the effective settings, secrets masked."""
    from payments_service.cli.settings_listing import list_settings

    list_settings(as_json=as_json)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False) -> None:
    """Examine this installation: what is wrong, where, and what to do; exit code 1 where there is a problem."""
    from payments_service.cli.diagnosis_report import report_diagnosis

    raise typer.Exit(report_diagnosis(as_json=as_json))


def health(
    process: Annotated[ProcessWord | None, typer.Argument(help="Which one; else whichever listens here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False,
) -> None:
    """Ask a process of this machine whether it is at work; for a container's health check."""
    from payments_service.cli.health_probe import probe_health

    answer = probe_health(process)
    typer.echo(json.dumps({"healthy": True, "answer": answer}) if as_json else answer)
