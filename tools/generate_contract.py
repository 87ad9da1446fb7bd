"""Generates payments_service/contract/pb from proto/, or with --check says which committed files have drifted."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
COMMITTED = ROOT / "payments_service" / "contract" / "pb"
PREFIX = "payments_service.contract.pb."


def generate(target: Path) -> None:
    """Write the modules and their type stubs below `target`."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    outputs = [f"--{kind}_out={target}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    plugins = Path(sys.executable).parent
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", *outputs, *sources],
        check=True,
        cwd=PROTO,
        env={**os.environ, "PATH": f"{plugins}{os.pathsep}{os.environ.get('PATH', '')}"},
        stderr=subprocess.DEVNULL if "--check" in sys.argv else None,
    )
    for path in (*target.rglob("*.py"), *target.rglob("*.pyi")):
        path.write_text(_below_package(path.read_text()))
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        (folder / "__init__.py").write_text('"""Generated from proto/; never edit."""\n')


def _below_package(text: str) -> str:
    """Move the generated imports below our package; protoc knows only the proto's own path."""
    return re.sub(r"^(from|import) payments\.v1", rf"\1 {PREFIX}payments.v1", text, flags=re.MULTILINE)


def drifted() -> list[str]:
    """Name the files that generating anew would change."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        return sorted(name for name in _names(fresh) | _names(COMMITTED) if not _same(fresh / name, COMMITTED / name))


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.py*") if path.suffix in {".py", ".pyi"}}


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.read_bytes() == other.read_bytes()


def main() -> int:
    """Generate, or check with `--check`."""
    if "--check" not in sys.argv[1:]:
        COMMITTED.mkdir(parents=True, exist_ok=True)
        generate(COMMITTED)
        return 0
    names = drifted()
    if names:
        print("Generated code differs from proto/, run `make proto`:", *names, sep="\n  ")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
