"""Starts a process with the roles of its command, and has its readiness reported once it listens."""

import asyncio
from functools import partial
from typing import Literal

from payments_service.bootstrap import run_service
from payments_service.cli.named_database import naming_database
from payments_service.cli.readiness_report import report_readiness
from payments_service.observability.logs import configure_logs
from payments_service.process_parts import Role
from payments_service.settings import Settings, read_settings

RoleName = Literal["GRPC", "BRIDGE", "WORKER", "SANDBOX"]


def launch_everything(*, as_json: bool) -> None:
    """Run all roles until a signal; the sandbox only stands in where there is no key."""
    settings = read_settings()
    roles = set(Role)
    if settings.stripe_key:
        roles.remove(Role.SANDBOX)
    run_roles(settings, frozenset(roles), as_json=as_json)


def launch(role: RoleName, *, as_json: bool) -> None:
    """Run one role until a signal; raises ConfigurationError where the settings do not allow it."""
    run_roles(read_settings(), frozenset({Role[role]}), as_json=as_json)


def run_roles(settings: Settings, roles: frozenset[Role], *, as_json: bool) -> None:
    """Run these roles in this process until a signal."""
    configure_logs(settings.log_format)
    with naming_database(settings):
        asyncio.run(run_service(settings, roles, partial(report_readiness, settings, as_json=as_json)))
