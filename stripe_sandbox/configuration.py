"""What a sandbox is started with; it decides nothing but that it listens on loopback only."""

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

API_VERSION = "2026-10-28.endive"

# Seconds by the sandbox's clock. Stripe tries for three days; here the first tries are close together, so that a
# developer who restarts the bridge sees the next one soon.
RETRY_SCHEDULE = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 7200.0)


class SandboxRefusedError(Exception):
    """Raised when the sandbox will not start as it was asked to; the message says what to change."""


@dataclass(frozen=True)
class SandboxConfig:
    """Where the sandbox listens, where it keeps its state, where and how it delivers."""

    host: str = "127.0.0.1"
    port: int = 12111
    database: Path = Path(".payments/sandbox.db")
    webhook_url: str = ""
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    retry_schedule: tuple[float, ...] = RETRY_SCHEDULE
    now: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if not is_loopback(self.host):
            raise SandboxRefusedError(
                f"The sandbox Stripe listens on loopback only, and {self.host!r} is not: anybody who reaches it can "
                "mark orders as paid. Set PAYMENTS_SANDBOX_ADDRESS to an address such as 127.0.0.1:12111."
            )
        if self.webhook_url and not self.webhook_secrets:
            raise SandboxRefusedError(
                "The sandbox Stripe has a webhook URL but no secret to sign with: give it a webhook secret."
            )


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine and nothing else; names other than localhost are not looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
