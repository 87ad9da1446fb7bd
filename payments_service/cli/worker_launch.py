"""Starts a worker in this process, or several in processes of their own."""

from typing import Any

from payments_service.cli.lifeline import hold_lifeline
from payments_service.settings import read_settings


def launch_worker(processes: int | None, threads: int | None, *, lifeline: bool, as_json: bool) -> None:
    """Run until a signal; what is not said is the environment's."""
    said: dict[str, Any] = {"worker_processes": processes, "worker_threads": threads}
    settings = read_settings(**{name: value for name, value in said.items() if value is not None})
    if lifeline:
        hold_lifeline()
    if settings.worker_processes > 1:
        from payments_service.cli.worker_supervision import supervise_workers

        supervise_workers(settings, as_json=as_json)
        return
    from payments_service.cli.process_launch import run_roles
    from payments_service.process_parts import Role

    run_roles(settings, frozenset({Role.WORKER}), as_json=as_json)
