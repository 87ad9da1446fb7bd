"""Makes stubs of the owner's contract alone, as somebody does who has nothing else of ours."""

import subprocess
import sys
from pathlib import Path

CONTRACT = Path(__file__).resolve().parent.parent / "contract" / "owner"
PROTO = "payments/v1/payments.proto"


def make_stubs(folder: Path) -> Path:
    """Generate them into a folder."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{CONTRACT}", PROTO]
    subprocess.run([*command, f"--python_out={folder}", f"--grpc_python_out={folder}"], check=True)
    return folder
