"""Releases for a test bench, made as people make them: on the command line, by keys that the service does not have."""

import contextlib
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fleet.cli import main
from fleet.config import Config
from fleet.flashing import firmware
from fleet.hil.results import PASSED, BoardFacts, Result, Run
from fleet.releases.build import PRODUCTS
from protocol import manifest
from tools.interpreter import ROOT

BUILD = "build"
BENCH = "bench"
DATE = "2026-01-01"  # of every release: what counts is its sequence
_DAYS = "7300"


class PressError(Exception):
    """A command line failed; the text has what it said."""


def fleet(*words: str | Path) -> Any:
    """What a `fleet` command prints as JSON."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*map(str, words), "--json"])
    if code:
        raise PressError(f"fleet {' '.join(map(str, words))}: {err.getvalue() or out.getvalue()}")
    return json.loads(out.getvalue())


class Press:
    """Keys of the roles root, build and bench in `directory`, and what was built with them. Nodes need both.

    `fleet_dir` is a fleet that another press has found; else `found` is for this one to call."""

    def __init__(self, directory: Path, fleet_dir: Path | None = None) -> None:
        self._directory = directory
        self._keys = directory / "keys"
        self._fleet: tuple[str, str] = ("--fleet", str(fleet_dir or ""))
        self._sequence = 100

    def found(self, config: Config) -> None:
        """Make the keys and the first root of a fleet, before it has nodes."""
        self._fleet = ("--fleet", str(config.directory))
        needed = [word for product in PRODUCTS for word in ("--require", f"{product}={BENCH}")]
        fleet("key", "init", "--out", self._keys, "--no-passphrase", *needed, *self._fleet)

    def build(self, version: str, patches: Mapping[str, tuple[str, str]], *words: str, product: str = "air") -> Path:
        """The directory of a release of ours; each file of `patches` has one text in place of another."""
        top = self._directory / f"tree-{product}-{version}"
        ours = firmware.directory()
        for folder in (ours, ROOT / "protocol"):
            shutil.copytree(folder, top / folder.name, ignore=shutil.ignore_patterns("__pycache__", "tests", "vectors"))
        (top / ours.name / "node" / "__init__.py").write_text(f'VERSION = "{version}"\n')
        for name, (old, new) in patches.items():
            file = top / ours.name / name
            text = file.read_text()
            if text.count(old) != 1:
                raise PressError(f"{name} does not say {old!r} once")
            file.write_text(text.replace(old, new))
        self._sequence += 1
        made = fleet(
            *("release", "build", "--firmware", top / ours.name, "--out", self._directory / "built"),
            *("--product", product, "--time", DATE, "--expires", _DAYS, "--source", "test"),
            *("--sequence", str(self._sequence), *words),
        )
        return Path(made["releases"][0]["directory"])

    def sign(self, release: Path, role: str) -> None:
        """Sign with the key of a role; the bench names the report of a run that this release has passed."""
        words: tuple[str | Path, ...] = ()
        if role == BENCH:
            words = ("--report", self._report(release))
        fleet("release", "sign", release, "--role", role, "--key", self._keys / f"{role}.pem", *words)

    def publish(self, release: Path) -> str:
        """Publish it; its name."""
        fleet("release", "publish", release, *self._fleet)
        return release.name

    def release(self, version: str, patches: Mapping[str, tuple[str, str]], *words: str, product: str = "air") -> str:
        """Build a release, let build and bench sign it, publish it; its name."""
        made = self.build(version, patches, *words, product=product)
        for role in (BUILD, BENCH):
            self.sign(made, role)
        return self.publish(made)

    def _report(self, release: Path) -> Path:
        """The run.json of a bench on which a board has run this release."""
        runs = manifest.digest((release / manifest.PATH).read_bytes()).hex()
        board = BoardFacts("b1", kind=release.name.partition("-")[0], state="ready", manifest=runs)
        run = Run("r1", started=f"{DATE}T00:00:00Z", ended=f"{DATE}T00:01:00Z", boards=(board,))
        path = self._directory / f"{release.name}.json"
        results = [asdict(Result("test_boot", ("b1",), PASSED))]
        path.write_text(json.dumps({**asdict(run), "results": results, "verdict": PASSED}))
        return path
