"""The size report of a release: what its program costs the flash of a node, beside the budget."""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath

from fleet.flashing import image

BUDGET = 120 * 1024  # bytes of the files in one slot; two of them, a base system and the outbox share 2 MB


def report(slot: Mapping[str, bytes], manifest: str) -> bytes:
    """The report on {path within the slot: contents}, as JSON; `manifest` is the one file that the budget leaves out.

    A program above the budget is reported like any other: whether a node has room for it, that node knows.
    """
    files = {path: len(data) for path, data in sorted(slot.items()) if path != manifest}
    total = sum(files.values())
    folders: dict[str, int] = {}
    for path, size in files.items():
        folder = str(PurePosixPath(path).parent)
        folders[folder] = folders.get(folder, 0) + size
    tree = {
        "flash_bytes": total,
        "flash_budget": BUDGET,
        "files": len(files),
        "manifest_bytes": len(slot[manifest]),
        "block_bytes": image.BLOCK,
        "blocks": _blocks(slot),
        "folders": folders,
    }
    return (json.dumps(tree, indent=1) + "\n").encode()


def _blocks(slot: Mapping[str, bytes]) -> int:
    """Blocks of LittleFS that the slot takes, its folders included: of a file system with it and of one without."""
    full = image.build({image.SLOT + path: data for path, data in slot.items()})
    return len(image.used(full)) - len(image.used(image.build({})))
