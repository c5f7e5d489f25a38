"""What an update costs, on the wire and on the node: `python -m tools.bench_update` prints one JSON line.

  wire     bytes of three changes of this firmware, real commits of this repository, each with a version number of its
           own: the payload as a delta beside the payload of the whole program, the changed files deflated, and a gzip
           of everything; then the MQTT packets that carry it (topics, asks and blocks; TCP and TLS are not counted)
  node     the same modules that a board gets, under the real MicroPython: `verify` one signature, `install` a payload
           (unpack and compare, write, read again and compare), each beside SHA-256 over the same bytes

`heap` is the smallest -X heapsize in which a job is done from its start, `kept` what its modules occupy of that. This
MicroPython has 64-bit words; a board takes about two thirds of it (`board_heap`, see tools/size.py). Times and
instructions are with the heap of an ESP32 that has TLS up and the program frozen. Instructions are counted by
valgrind, null without it; `multiplications` are those in the field of Ed25519, `longest` those between two yields.
`install` is on LittleFS as on a board, but over a file: the time of the flash itself comes on top.
"""

import argparse
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.tests.test_ed25519 import Counter
from fleet.flashing import firmware, image
from fleet.releases.delta import Program, delta, full
from protocol import cose, manifest, topics, trust
from protocol.update import MAX_BLOCK, MAX_WINDOW, PAYLOAD, Ask, Block
from tools import update_probe
from tools.interpreter import ROOT, micropython
from tools.size import STOCK_HEAP, TLS_HEAP

PRODUCT = "air"
NODE = "air-stuttgart-01"
BOUND_PC = 1  # of the whole program, for a one-line fix
HEAP = (STOCK_HEAP - TLS_HEAP) * 3 // 2  # bytes on 64 bits
_LEAST, _MOST, _STEP = 8 << 10, 4 << 20, 512  # bytes of heaps that are tried
_SAME = {**os.environ, "PYTHONHASHSEED": "0"}  # the wheel brings MicroPython as an extension of Python
_DIGEST = bytes(range(32))  # in the place of any


@dataclass(frozen=True)
class Change:
    """Two states of this repository."""

    name: str
    old: str  # commit
    new: str


CHANGES = (
    Change("one-line fix", "87b309558075f44ae5a31fe18bb022efa332bff7", "9eb2af47588d58d95820ab523c0ab2dbeff026ba"),
    Change("small feature", "8e6f7fbcf6c0c85659e1304139cfef6af730eb44", "14b35cb7e2e8ac2911601dec1a0b552880efa61d"),
    Change("large change", "9eb2af47588d58d95820ab523c0ab2dbeff026ba", "59e0d088e8803164c68baaa9de68a35e1ee087d7"),
)


def missing() -> str | None:
    """What of the history this clone lacks, in words, or None."""
    for commit in sorted({commit for change in CHANGES for commit in (change.old, change.new)}):
        command = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
        if shutil.which("git") is None or subprocess.run(command, cwd=ROOT, capture_output=True).returncode:
            return f"commit {commit[:12]} is not in this clone: only the program of this tree is measured"
    return None


def committed(commit: str, scratch: Path, is_new: bool) -> Program:
    """The program of a commit; a new one says a version of its own, as a release does."""
    top = scratch / f"{commit}-{is_new}"
    command = ["git", "archive", "--format=tar", commit, "firmware", "protocol"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(top, filter="data")
    if is_new:
        file = top / "firmware" / "node" / "__init__.py"
        file.write_text(re.sub(r'^VERSION = "(.*)\.\d+"', r'VERSION = "\1.9"', file.read_text(), flags=re.MULTILINE))
    return program(firmware.load(top / "firmware", cache=scratch / "mpy", product=PRODUCT))


def program(found: firmware.Firmware) -> Program:
    """What a slot holds of it."""
    files = {path: data for path, data in found.slot.items() if path != manifest.PATH}
    return Program(found.slot[manifest.PATH], files)


def sizes(old: Program, new: Program) -> dict[str, Any]:
    """Bytes of a change in every form."""
    changed = [data for path, data in new.files.items() if old.files.get(path) != data]
    whole, patch = full(new), delta(new, old)
    return {
        "modules": len(new.files),
        "changed": len(changed),
        "program": sum(map(len, new.files.values())),
        "full": len(whole),
        "delta": len(patch),
        "changed_deflated": sum(len(_deflated(data)) for data in [new.manifest, *changed]),
        "gzip": len(gzip.compress(b"".join([new.manifest, *new.files.values()]), 9, mtime=0)),
        "delta_pc": round(len(patch) * 100 / len(whole), 2),
        "packets": {"full": carried(len(whole), b""), "delta": carried(len(patch), _DIGEST)},
    }


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -12)
    return packer.compress(data) + packer.flush()


def carried(size: int, have: bytes) -> int:
    """Bytes of the MQTT packets, QoS 0, that bring a payload when none is lost: asks and blocks."""
    up, down = topics.up(NODE, "block"), topics.down(NODE, "block")
    total = 0
    for start in range(0, size, MAX_BLOCK * MAX_WINDOW):
        count = min(MAX_WINDOW, -(-(size - start) // MAX_BLOCK))
        total += _packet(up, Ask(what=PAYLOAD, release=_DIGEST, have=have, offset=start, count=count).encode())
    for start in range(0, size, MAX_BLOCK):
        data = bytes(min(MAX_BLOCK, size - start))
        total += _packet(down, Block(what=PAYLOAD, id=_DIGEST[:8], offset=start, total=size, data=data).encode())
    return total


def _packet(topic: str, payload: bytes, acknowledged: int = 0) -> int:
    """Bytes of an MQTT 3.1.1 PUBLISH; of QoS 1 with its identifier and its PUBACK."""
    remaining = 2 + len(topic) + 2 * acknowledged + len(payload)
    return 1 + (1 if remaining < 128 else 2) + remaining + 4 * acknowledged


def documents(release: trust.Release) -> dict[str, int]:
    """Bytes of what is signed, in its envelope, and of the MQTT packets that bring it."""
    campaign = trust.Campaign(
        counter=1000,
        nodes=[NODE],
        action=trust.INSTALL,
        release=_DIGEST,
        issued=1_800_000_000,
        expires=1_800_600_000,
        nonce=_DIGEST,
    )
    order = _envelope(campaign.encode(), trust.CAMPAIGN_TYPE, [b""])
    built = _envelope(release.encode(), trust.RELEASE_TYPE, [b"", _DIGEST])
    ask = Ask(what=2, release=_DIGEST).encode()
    block = Block(what=2, total=len(built), data=built).encode()
    brought = _packet(topics.up(NODE, "block"), ask) + _packet(topics.down(NODE, "block"), block)
    return {
        "campaign": len(order),
        "release_of_two_signers": len(built),
        "packets": _packet(topics.down(NODE, "ota"), order, 1) + brought,
    }


def _envelope(document: bytes, typ: str, reports: list[bytes]) -> bytes:
    """A document with signatures that are none, but of the right size."""
    signatures = [cose.assemble(cose.protected(typ, report), bytes(8), bytes(64)) for report in reports]
    return trust.Signed(document=document, signatures=signatures, root=1).encode()


def release_of(new: Program) -> trust.Release:
    """A release as large as they are."""
    return trust.Release(
        product=PRODUCT,
        version="1.4.0",
        sequence=1000,
        floor=900,
        issued=1_800_000_000,
        expires=1_900_000_000,
        boards=["esp32_air", "esp32s3_air"],
        chips=["esp32", "esp32s3"],
        mpy=6,
        base_min="1.24.0",
        manifest=manifest.digest(new.manifest),
        manifest_size=len(new.manifest),
        size=sum(map(len, new.files.values())),
        sbom=_DIGEST,
        support_until=2_000_000_000,
        source="9" * 40,
    )


class Node:
    """The flash of a node in a file, and MicroPython with the modules of a board."""

    def __init__(self, directory: Path, cache: Path | None = None) -> None:
        self._modules = directory / "modules"
        self._directory = directory
        probe = {"update_probe.py": Path(update_probe.__file__)}
        for path, data in firmware.load(cache=cache, product=PRODUCT, extra=probe).slot.items():
            file = self._modules / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        self._flash = b""
        secret = Ed25519PrivateKey.from_private_bytes(bytes(32))
        message = cose.to_be_signed(cose.protected(trust.RELEASE_TYPE, _DIGEST), _DIGEST)
        self.signature = (secret.public_key().public_bytes_raw(), message, secret.sign(message))
        public, _, signature = self.signature
        (directory / update_probe.SIGNATURE).write_bytes(public + signature + message)

    def offer(self, old: Program | None, new: Program) -> None:
        """A node that runs `old`, or nothing of use, has fetched the payload of `new`."""
        files = {update_probe.RELEASE: release_of(new).encode()}
        files[update_probe.PAYLOAD] = full(new) if old is None else delta(new, old)
        if old is not None:
            files.update({f"/a/{path}": data for path, data in {**old.files, manifest.PATH: old.manifest}.items()})
        self._flash = image.build(files)

    def command(self, job: str, times: int, heap: int) -> list[str]:
        """The words that do a job; an installation begins on the flash that was offered, all else goes on with it."""
        if job == "install":
            (self._directory / update_probe.FLASH).write_bytes(self._flash)
        call = f"import sys; sys.path.insert(0, {str(self._modules)!r}); import update_probe as probe; "
        call += f"probe.main({str(self._directory)!r}, {job!r}, {times})"
        return [micropython(), "-X", f"heapsize={heap}", "-c", call]

    def run(self, job: str, times: int = 1, heap: int = HEAP) -> dict[str, int]:
        """The FIGURES of a job, or nothing when the heap is too small."""
        done = subprocess.run(self.command(job, times, heap), capture_output=True, text=True, timeout=600)
        if done.returncode == 0:
            return dict(zip(update_probe.FIGURES, map(int, done.stdout.split()), strict=True))
        if "MemoryError" not in done.stdout + done.stderr:
            raise RuntimeError(done.stdout + done.stderr)
        return {}

    def least_heap(self, job: str) -> int:
        """Bytes of the smallest heap in which the job is done."""
        low, high = _LEAST // _STEP, _MOST // _STEP  # too small, enough
        while high - low > 1:
            middle = (low + high) // 2
            if self.run(job, heap=middle * _STEP):
                high = middle
            else:
                low = middle
        return high * _STEP

    def instructions(self, job: str, times: int = 1) -> int | None:
        """Machine instructions of one time, or None without valgrind."""
        if shutil.which("valgrind") is None:
            return None
        return (self._counted(job, times) - self._counted(job, 0)) // times

    def _counted(self, job: str, times: int) -> int:
        words = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *self.command(job, times, HEAP)]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=_SAME)
        found = re.search(r"Collected : (\d+)", done.stderr)
        assert found is not None, done.stderr
        return int(found[1])

    def figures(self, job: str, yardstick: str, times: int, hashes: int) -> dict[str, Any]:
        """A job beside SHA-256 over the same bytes."""
        heap, work = self.least_heap(job), self.instructions(job)
        done = self.run(job, times)
        hash_work = self.instructions(yardstick, hashes)
        hashed = self.run(yardstick, hashes)
        return {
            "heap": heap,
            "kept": done["kept"],
            "board_heap": heap * 2 // 3,
            "flash": {name: done[name] for name in ("read", "written", "erased") if done["read"]},
            "ms": round(done["us"] / times / 1000, 2),
            "sha256_ms": round(hashed["us"] / hashes / 1000, 4),
            "instructions": work,
            "sha256_instructions": hash_work,
        }


def on_node(scratch: Path, here: Program, changes: Mapping[str, tuple[Program, Program]]) -> dict[str, Any]:
    """The figures of a node that verifies and installs."""
    node = Node(scratch / "node", scratch / "mpy")
    counter = Counter()
    assert counter.run(*node.signature)
    work = {"multiplications": sum(counter.steps), "steps": len(counter.steps), "longest": max(counter.steps)}
    node.offer(None, here)
    installs = {"full": node.figures("install", "hash_program", 1, 1)}
    for name in (CHANGES[0].name, CHANGES[-1].name):
        if name in changes:
            node.offer(*changes[name])
            installs[name] = node.figures("install", "hash_program", 1, 1)
    return {
        "verify": {**work, **node.figures("verify", "hash_message", 5, 1000)},
        "verify_again": node.figures("verify_again", "hash_message", 5, 1000),
        "install": installs,
    }


def report() -> dict[str, Any]:
    """Everything."""
    lack = missing()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        pairs = {}
        for change in () if lack else CHANGES:
            pairs[change.name] = (committed(change.old, scratch, False), committed(change.new, scratch, True))
        here = program(firmware.load(cache=scratch / "mpy", product=PRODUCT))
        wire = {name: sizes(old, new) for name, (old, new) in pairs.items()}
        return {
            "bench": "update",
            "product": PRODUCT,
            "history": lack,
            "bound_pc": BOUND_PC,
            "wire": {"documents": documents(release_of(here)), "changes": wire},
            "node_heap": HEAP,
            "node": on_node(scratch, here, pairs),
        }


def main() -> int:
    """Print the figures; 1 when a one-line fix costs too much."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    figures = report()
    print(json.dumps(figures))
    fix = figures["wire"]["changes"].get(CHANGES[0].name, {"delta_pc": 0})
    return int(fix["delta_pc"] >= BOUND_PC)


if __name__ == "__main__":
    sys.exit(main())
