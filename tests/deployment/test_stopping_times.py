"""Whoever stops a process leaves it the time that it needs to finish what is under way."""

from payments_service.actors import crew, duty_roster
from payments_service.assembly import WAKER_STOP_SECONDS
from payments_service.cli.lifeline import LAST_SECONDS
from payments_service.rpc.grpc_server import ServerConfig
from payments_service.storage.postgres_engine import POOL_SECONDS
from webhook_bridge import bridge_server

from .deployed_files import compose_processes, of_kind, units

LAST_COMMIT_SECONDS = POOL_SECONDS + WAKER_STOP_SECONDS
"""Waking, and sequencing what the last commits staged, come after the rest."""
NEEDED = {
    "serve": ServerConfig("").drain_seconds + LAST_COMMIT_SECONDS,
    "bridge": bridge_server.STOP_SECONDS + LAST_COMMIT_SECONDS,
    "worker": max(crew.STOP_SECONDS + duty_roster.STOP_SECONDS + LAST_COMMIT_SECONDS, LAST_SECONDS),
}


def seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text[:-1])


def test_compose_waits_longer_than_a_process_needs() -> None:
    for name, needed in NEEDED.items():
        assert seconds(compose_processes()[name]["stop_grace_period"]) > needed


def test_systemd_waits_longer_than_a_process_needs() -> None:
    for name, needed in NEEDED.items():
        assert float(units()[f"payments-{name}"]["TimeoutStopSec"][0]) > needed
        assert units()[f"payments-{name}"]["KillMode"] == ["mixed"]


def test_kubernetes_waits_longer_than_its_hook_and_a_process_need() -> None:
    for name, needed in NEEDED.items():
        pod = of_kind("Deployment")[f"payments-{name}"]["spec"]["template"]["spec"]
        hook = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])
        assert pod["terminationGracePeriodSeconds"] > float(hook[1]) + needed


def test_what_takes_traffic_is_left_out_of_it_before_it_stops() -> None:
    for name in ("serve", "bridge"):
        [container] = of_kind("Deployment")[f"payments-{name}"]["spec"]["template"]["spec"]["containers"]
        ready = container["readinessProbe"]
        noticed = ready["periodSeconds"] * ready["failureThreshold"]
        assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
        assert noticed <= 10
