"""Generates both sets of stubs from proto/, the service's and the client's, or with --check says what has drifted.

The client's come from an older compiler, in an environment of its own: stubs refuse runtimes older than the compiler,
and the client must not force the newest ones on its users (requirements/client-oldest.in).
"""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"


@dataclass(frozen=True, slots=True)
class StubSet:
    """Where one set of stubs is committed, and the interpreter whose grpcio-tools makes it."""

    folder: Path
    python: Path

    @property
    def package(self) -> str:
        """Give the package that the stubs are imported from."""
        package = self.folder
        while (package.parent / "__init__.py").exists():
            package = package.parent
        return ".".join(self.folder.relative_to(package.parent).parts)


SERVICE = StubSet(ROOT / "payments_service" / "contract" / "pb", Path(sys.executable))
CLIENT = StubSet(
    ROOT / "clients" / "python" / "payments_client" / "pb", ROOT / ".venv" / "client-oldest" / "bin" / "python"
)


def generate(stubs: StubSet, target: Path) -> None:
    """Write the modules and their type stubs below `target`."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    outputs = [f"--{kind}_out={target}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    subprocess.run(
        [stubs.python, "-m", "grpc_tools.protoc", f"-I{PROTO}", *outputs, *sources],
        check=True,
        cwd=PROTO,
        env={**os.environ, "PATH": f"{stubs.python.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
        stderr=subprocess.DEVNULL if "--check" in sys.argv else None,
    )
    for path in (*target.rglob("*.py"), *target.rglob("*.pyi")):
        path.write_text(_below_package(path.read_text(), stubs.package))
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir() and path.name != "__pycache__")):
        (folder / "__init__.py").write_text('"""Generated from proto/; never edit."""\n')


def _below_package(text: str, package: str) -> str:
    """Move the generated imports below our package; protoc knows only the proto's own path."""
    return re.sub(r"^(from|import) payments\.v1", rf"\1 {package}.payments.v1", text, flags=re.MULTILINE)


def drifted(stubs: StubSet) -> list[str]:
    """Name the files that generating anew would change."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(stubs, fresh)
        names = sorted(_names(fresh) | _names(stubs.folder))
        return [
            str((stubs.folder / name).relative_to(ROOT))
            for name in names
            if not _same(fresh / name, stubs.folder / name)
        ]


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.py*") if path.suffix in {".py", ".pyi"}}


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.read_bytes() == other.read_bytes()


def main() -> int:
    """Generate, or check with `--check`."""
    if not CLIENT.python.exists():
        print(f"The client's compiler is missing ({CLIENT.python.parent.parent}): run `make setup`.")
        return 2
    if "--check" not in sys.argv[1:]:
        for stubs in (SERVICE, CLIENT):
            stubs.folder.mkdir(parents=True, exist_ok=True)
            generate(stubs, stubs.folder)
        return 0
    names = [name for stubs in (SERVICE, CLIENT) for name in drifted(stubs)]
    if names:
        print("Generated code differs from proto/, run `make proto`:", *names, sep="\n  ")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
