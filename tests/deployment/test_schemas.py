"""The files of deploy/ fit the schemas and linters of the tools that read them."""

import json
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from .deployed_files import DEPLOY, KUBERNETES, SYSTEMD, Json, compose_file, manifests

OLDEST_KUBERNETES, NEWEST_KUBERNETES = "1.30", "1.37"


def test_the_dockerfile_passes_hadolint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")

    told = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)

    assert (told.returncode, told.stdout) == (0, "")


def test_the_compose_file_fits_its_schema() -> None:
    schema = json.loads(files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text())

    jsonschema.validate(compose_file(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose_file() | {"services": {"serve": {"imagee": "x"}}}, schema)


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
@pytest.mark.parametrize("manifest", manifests(), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_each_manifest_fits_its_schema(manifest: Json, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_manifest_with_a_wrong_name_does_not_fit() -> None:
    [wrong] = [
        each for each in manifests() if each["metadata"]["name"] == "payments-serve" and each["kind"] == "Deployment"
    ]
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 30

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST_KUBERNETES, strict=True)


@pytest.mark.parametrize("folder", ["base", "migrate"])
def test_kustomize_builds_the_manifests(folder: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")

    built = subprocess.run(["kubectl", "kustomize", KUBERNETES / folder], capture_output=True, text=True, check=True)

    for each in yaml.safe_load_all(built.stdout):
        kubernetes_validate.validate(each, NEWEST_KUBERNETES, strict=True)


@pytest.mark.parametrize("unit", sorted(SYSTEMD.glob("*.service")), ids=lambda path: path.stem)
def test_systemd_reads_the_units(unit: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")

    told = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)

    # The command is not installed here, and that is all that may be said.
    complaints = [
        line for line in told.stderr.splitlines() if "/opt/payments/bin/payments is not executable" not in line
    ]
    assert complaints == []
