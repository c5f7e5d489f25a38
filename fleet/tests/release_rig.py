"""What the tests of releases share: a small firmware in a git repository, keys, roots, and reports of a bench."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from fleet import signing
from fleet.flashing import firmware
from fleet.hil.results import BoardFacts, Result, Run
from fleet.releases import build
from fleet.releases.contents import Contents
from fleet.signing.make import new_key, private_pem
from fleet.signing.signers import PemSigner
from protocol import trust
from protocol.trust import Product, Role, Root, Signed

TIME_S = 1_763_800_000
NOW_S = TIME_S + 86400
FAR_S = TIME_S + 10 * 365 * 86400
_SMALL = """\
options.defaults(product="", claim=True)
package("node", files=("__init__.py", "app.py"))
if options.product != "light":
    package("boards", files=("esp32_air.py", "esp32s3_air.py"))
if options.product != "air":
    package("boards", files=("esp32_light.py",))
"""
_BOARD = 'CHIP = "{}"\n'
_GIT = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b.example",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b.example",
    "GIT_AUTHOR_DATE": f"{TIME_S} +0000",
    "GIT_COMMITTER_DATE": f"{TIME_S} +0000",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def git(top: Path, *words: str) -> str:
    """Run git in a directory, without the configuration of whoever runs the tests."""
    environ = {**os.environ, **_GIT}
    done = subprocess.run(["git", "-C", str(top), *words], capture_output=True, text=True, check=True, env=environ)
    return done.stdout.strip()


def small_firmware(top: Path, version: str = "1.0.0", app: str = "LAMP = 1\n") -> Path:
    """The sources of a firmware of two modules and three boards."""
    sources = {
        "manifest.py": _SMALL,
        "boot.py": "",
        "main.py": "",
        "node/__init__.py": f'VERSION = "{version}"\n',
        "node/app.py": app,
        "boards/esp32_air.py": _BOARD.format("esp32"),
        "boards/esp32s3_air.py": _BOARD.format("esp32s3"),
        "boards/esp32_light.py": _BOARD.format("esp32"),
    }
    for name, text in sources.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    return top


def repository(top: Path) -> Path:
    """A git repository of one commit with the firmware of this checkout."""
    ours = firmware.directory()
    skipped = shutil.ignore_patterns("__pycache__", "tests")
    for folder in (ours, ours.parent / "protocol"):
        shutil.copytree(folder, top / folder.name, ignore=skipped)
    git(top, "init", "--quiet")
    git(top, "add", ".")
    git(top, "commit", "--quiet", "--message", "all")
    return top


def built(top: Path, product: str = "air", **more: object) -> Contents:
    """A release of the firmware in a directory, or of a small one that is made there."""
    sources = top if (top / "manifest.py").exists() else small_firmware(top)
    order = build.Order((product,), sources, time_s=TIME_S)
    return next(build.build(replace(order, **more)))  # type: ignore[arg-type]


def key(name: str) -> PemSigner:
    """A new key that signs."""
    return PemSigner(name, "", new_key())


def root_of(
    keys: Mapping[str, PemSigner], thresholds: Mapping[str, int] | None = None, version: int = 1, expires: int = FAR_S
) -> Root:
    """A root in which the key NAME, and NAME2 and so on, is of the role NAME; light needs build, air bench as well."""
    names = list(keys)
    roles = [
        Role(
            name=role,
            threshold=(thresholds or {}).get(role, 1),
            keys=[names.index(one) for one in names if one.rstrip("23456789") == role],
            report=role == trust.BENCH,
        )
        for role in (trust.ROOT, trust.BUILD, trust.CAMPAIGN, trust.BENCH)
    ]
    products = [Product(name="air", roles=[trust.BUILD, trust.BENCH])]
    publics = [one.public for one in keys.values()]
    return Root(version=version, expires=expires, keys=publics, roles=roles, products=products)


def enveloped(root: Root, signer: PemSigner) -> Signed:
    """A root with one signature, as it is kept in a file."""
    return signing.add(Signed(document=root.encode()), trust.ROOT_TYPE, signer)


def pem(path: Path, passphrase: bytes | None = None) -> PemSigner:
    """A new key in a file, and the same to compare with."""
    made = new_key()
    path.write_bytes(private_pem(made, passphrase, rounds=1))
    path.chmod(0o600)
    return PemSigner(str(path), "", made)


def report(path: Path, manifest: str, outcome: str = "passed", kind: str = "air") -> Path:
    """The run.json of a bench that tested one board."""
    board = BoardFacts("b1", kind=kind, state="ready", manifest=manifest)
    run = Run("r1", started="2026-11-22T00:00:00Z", ended="2026-11-22T00:01:00Z", boards=(board,))
    run = replace(run, results=(Result("test_boot", ("b1",), outcome),))
    path.write_text(json.dumps({**asdict(run), "verdict": "passed"}))
    return path
