"""Every setting, command, port, path and file that deploy/ names exists."""

import re
from pathlib import Path
from typing import Any

import pytest

from payments_service.orders.observation import FOLDED_TYPES
from payments_service.rpc.callers_file import parse_callers_file
from payments_service.settings import Settings, read_settings

from .deployed_files import (
    COMMANDS,
    COMPOSE,
    DEPLOY,
    KUBERNETES,
    ROOT,
    SYSTEMD,
    VARIABLES,
    Json,
    compose_file,
    compose_processes,
    env_file,
    instructions,
    manifests,
    of_kind,
    pods,
    units,
)

SETTINGS_FILES = {
    "kubernetes": KUBERNETES / "base" / "settings.env",
    "systemd": SYSTEMD / "payments.env.example",
    "compose": COMPOSE / "example.env",
}


def test_every_variable_of_ours_is_a_setting() -> None:
    texts = {path: path.read_text() for path in DEPLOY.rglob("*") if path.is_file()}
    named = {name for text in texts.values() for name in re.findall(r"\bPAYMENTS_[A-Z_]+\b", text)}

    assert named - VARIABLES == {"PAYMENTS_IMAGE"}  # the compose file's own
    assert len(named) > 10


def values_of(process: Json) -> dict[str, str]:
    """Fill in what an operator does."""
    return {name: re.sub(r"\$\{(\w+):\?[^}]*\}", _filled, value) for name, value in process["environment"].items()}


def _filled(match: re.Match[str]) -> str:
    examples = {
        "PAYMENTS_STRIPE_API_KEY": "sk_test_1",
        "PAYMENTS_STRIPE_WEBHOOK_SECRETS": "whsec_1",
        "PAYMENTS_PUBLIC_URL": "https://pay.example",
    }
    return examples.get(match[1], "password")


def settings_from(values: dict[str, str]) -> Settings:
    changes: dict[str, Any] = {name.removeprefix("PAYMENTS_").lower(): value for name, value in values.items()}
    return read_settings(**changes)


def test_the_settings_of_each_way_to_deploy_are_taken_by_the_service() -> None:
    kubernetes = env_file(SETTINGS_FILES["kubernetes"]) | of_kind("Secret")["payments-secrets"]["stringData"]
    systemd = env_file(SETTINGS_FILES["systemd"])
    compose = values_of(compose_processes()["serve"])

    for values in (kubernetes, systemd, compose):
        settings = settings_from(values)
        assert not settings.embedded
        assert not settings.broker_url.startswith("memory:")
        assert settings.callers_file == Path("/etc/payments/callers.toml")


def test_the_compose_file_asks_for_what_its_example_has() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", (COMPOSE / "compose.yaml").read_text()))

    assert asked == set(env_file(SETTINGS_FILES["compose"]))


@pytest.mark.parametrize("path", [COMPOSE / "callers.example.toml", None])
def test_the_examples_of_a_callers_file_are_read_by_the_service(path: Path | None) -> None:
    text = path.read_text() if path else of_kind("Secret")["payments-callers"]["stringData"]["callers.toml"]

    assert parse_callers_file(text.encode(), Path("callers.toml")).callers


def test_every_command_exists() -> None:
    dockerfile = re.findall(r'CMD \["payments", "(\w+)"', (DEPLOY / "Dockerfile").read_text())
    compose = [process["command"][0] for process in compose_processes().values()]
    kubernetes = [pod["spec"]["containers"][0]["args"][0] for pod in pods().values()]
    systemd = [unit["ExecStart"][0].split()[1] for unit in units().values()]
    probes = [process["healthcheck"]["test"][2] for process in compose_processes().values() if _tests(process)]

    assert {*dockerfile, *compose, *kubernetes, *systemd, *probes} <= COMMANDS
    for started in (compose, kubernetes, systemd):
        assert {"migrate", "serve", "bridge", "worker"} <= set(started)


def _tests(process: Json) -> bool:
    return "test" in process["healthcheck"]


def test_ports_are_those_that_are_listened_on() -> None:
    settings = settings_from(env_file(SETTINGS_FILES["kubernetes"]))
    grpc, bridge, metrics = (
        int(address.rpartition(":")[2])
        for address in (settings.grpc_address, settings.bridge_address, settings.metrics_address)
    )
    containers = {name: pod["spec"]["containers"][0] for name, pod in pods().items() if "serve" in name}

    [serve] = containers.values()
    assert {each["name"]: each["containerPort"] for each in serve["ports"]} == {"grpc": grpc, "metrics": metrics}
    assert {serve[probe]["grpc"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")} == {grpc}
    assert f"EXPOSE {grpc} {bridge} {metrics}" in instructions()
    assert compose_processes()["serve"]["ports"] == [f"127.0.0.1:{grpc}:{grpc}"]
    assert compose_processes()["bridge"]["ports"] == [f"127.0.0.1:{bridge}:{bridge}"]
    for pod in of_kind("Deployment").values():
        assert pod["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(metrics)


def test_labels_ports_secrets_and_volumes_of_the_manifests_meet() -> None:
    deployments = of_kind("Deployment")
    labels = {name: each["spec"]["template"]["metadata"]["labels"].items() for name, each in deployments.items()}
    for name, each in deployments.items():
        assert each["spec"]["selector"]["matchLabels"].items() == labels[name]
    for service in of_kind("Service").values():
        [target] = [name for name in deployments if service["spec"]["selector"].items() <= labels[name]]
        [container] = deployments[target]["spec"]["template"]["spec"]["containers"]
        assert service["spec"]["ports"][0]["targetPort"] in {port["name"] for port in container["ports"]}
    for budget in of_kind("PodDisruptionBudget").values():
        assert any(budget["spec"]["selector"]["matchLabels"].items() == of for of in labels.values())
    for scaler in of_kind("HorizontalPodAutoscaler").values():
        assert scaler["spec"]["scaleTargetRef"]["name"] in deployments
    for policy in of_kind("NetworkPolicy").values():
        assert any(policy["spec"]["podSelector"]["matchLabels"].items() <= of for of in labels.values())


def test_what_pods_take_from_elsewhere_is_there() -> None:
    secrets = set(of_kind("Secret"))
    for pod in pods().values():
        [container] = pod["spec"]["containers"]
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        assert {mount["name"] for mount in container.get("volumeMounts", [])} == set(volumes)
        used = [each["secretRef"]["name"] for each in container["envFrom"] if "secretRef" in each]
        assert set(used) | {each["secret"]["secretName"] for each in volumes.values() if "secret" in each} <= secrets


def test_everything_runs_without_rights_and_without_writing() -> None:
    for pod in pods().values():
        [container] = pod["spec"]["containers"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert pod["spec"]["securityContext"]["runAsUser"] == 10001
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not pod["spec"]["enableServiceLinks"]
    for process in compose_processes().values():
        assert process["read_only"]
        assert process["cap_drop"] == ["ALL"]
    assert "USER 10001:10001" in instructions()
    for unit in units().values():
        assert unit["ProtectSystem"] == ["strict"]
        assert unit["User"] == ["payments"]


def test_the_processes_wait_for_the_migration() -> None:
    for name in ("serve", "bridge", "worker"):
        after = compose_processes()[name]["depends_on"]
        assert after["migrate"] == {"condition": "service_completed_successfully"}
        assert units()[f"payments-{name}"]["Requires"] == ["payments-migrate.service"]
    assert set(compose_file()["services"]) >= {"postgres", "rabbitmq"}


def test_the_image_is_built_from_files_that_reach_the_build() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied: set[str] = set()
    for line in instructions():
        if line.startswith("COPY") and "--from" not in line:
            copied |= set(line.split()[1:-1])

    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_no_manifest_is_left_out_of_its_kustomization() -> None:
    for folder in ("base", "migrate"):
        text = (KUBERNETES / folder / "kustomization.yaml").read_text()
        for path in (KUBERNETES / folder).glob("*.yaml"):
            assert path.name == "kustomization.yaml" or f"- {path.name}" in text
    assert len(manifests()) > 12


def test_what_the_operators_page_names_exists() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    words = set(re.findall(r"`payments ([a-z]+)", page))

    assert words <= COMMANDS
    assert len(words) > 5
    assert set(re.findall(r"PAYMENTS_[A-Z_]+[A-Z]", page)) <= VARIABLES
    assert sorted(FOLDED_TYPES) == re.findall(r"^    ([a-z_]+\.[a-z_.]+)$", page, re.MULTILINE)
    for path in re.findall(r"`((?:deploy|tests)/[\w./-]+)`", page):
        assert (ROOT / path).exists(), path
