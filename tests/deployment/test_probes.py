"""What orchestrators and Prometheus ask for is answered by a service that runs, and by nothing that is gone."""

from pathlib import Path

import aiohttp

from payments_service.bootstrap import open_service
from payments_service.process_parts import Role
from payments_service.settings import read_settings

from .deployed_files import of_kind

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


async def test_every_path_that_is_asked_for_is_answered(tmp_path: Path) -> None:
    free = {f"{name}_address": "127.0.0.1:0" for name in ("grpc", "bridge", "sandbox", "metrics")}
    files = {"database_url": f"sqlite:///{tmp_path}/payments.db", "sandbox_database": tmp_path / "sandbox.db"}
    pods = {name: each["spec"]["template"] for name, each in of_kind("Deployment").items()}
    containers = {name: pod["spec"]["containers"][0] for name, pod in pods.items()}
    bridge, worker = containers["payments-bridge"], containers["payments-worker"]
    scraped = {pod["metadata"]["annotations"]["prometheus.io/path"] for pod in pods.values()}

    async with open_service(read_settings(**(free | files)), frozenset(Role)) as running:
        metrics = running.metrics_url.removesuffix("/metrics")
        asked = {f"{running.bridge_url}{bridge[probe]['httpGet']['path']}" for probe in PROBES}
        asked |= {f"{metrics}{worker[probe]['httpGet']['path']}" for probe in PROBES if probe in worker}
        asked |= {f"{metrics}{path}" for path in scraped}
        async with aiohttp.ClientSession() as http:
            answers = {url: (await http.get(url)).status for url in asked}

    assert len(answers) == 3
    assert set(answers.values()) == {200}
