"""Our proto files hold every name and number of the owner's contract, and the committed stubs are theirs."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = Path(sys.executable).parent
Shape = set[tuple[str, ...]]


def shape(folder: Path, output: Path) -> Shape:
    """List every RPC, field and enum value as a tuple, by protoc alone."""
    sources = [str(path.relative_to(folder)) for path in folder.rglob("*.proto")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--descriptor_set_out={output}", *sources]
    subprocess.run(command, check=True)
    found: Shape = set()
    for file in FileDescriptorSet.FromString(output.read_bytes()).file:
        for service in file.service:
            found |= {(service.name, m.name, m.input_type, m.output_type) for m in service.method}
        for message in file.message_type:
            found |= fields(message, message.name)
        for enum in file.enum_type:
            found |= {(enum.name, value.name, str(value.number)) for value in enum.value}
    return found


def fields(message: DescriptorProto, path: str) -> Shape:
    found: Shape = {(path, f.name, str(f.number), str(f.type), str(f.label), f.type_name) for f in message.field}
    for enum in message.enum_type:
        found |= {(path, enum.name, value.name, str(value.number)) for value in enum.value}
    for nested in message.nested_type:
        found |= fields(nested, f"{path}.{nested.name}")
    return found


def test_every_name_and_number_of_the_owners_contract_is_ours(tmp_path: Path) -> None:
    owners = shape(ROOT / "tests" / "contract" / "owner", tmp_path / "owner.pb")
    ours = shape(ROOT / "proto", tmp_path / "ours.pb")

    assert len(owners) > 400
    assert owners - ours == set()


@pytest.mark.parametrize(
    "command",
    [
        ["buf", "lint", "proto"],
        ["buf", "breaking", "proto", "--against", "tests/contract/owner"],
        ["python", "tools/generate_contract.py", "--check"],
    ],
    ids=" ".join,
)
def test_the_contract_is_clean_by(command: list[str]) -> None:
    done = subprocess.run([SCRIPTS / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")
