"""Stage 0: choose the slot, start the watchdog, let main.py run the application. An update never replaces this file.

It uses only what the interpreter brings: every other file may be broken. `node/core/slots.py` has the pointer's layout.
"""

import os
import sys

_POINTER = "/slot.cbor"


def choose(data: bytes) -> "tuple[str, bytes | None]":
    """(slot to run, pointer to write before it runs or None) for the bytes of the pointer, b"" when there is none."""
    if len(data) != 9 or data[:3] != b"\xa3\x01\x61" or data[4:6] != b"\x02\x61" or data[7] != 3:
        return "a", None
    if data[6:7] in (b"a", b"b") and 0 < data[8] < 24:
        return data[6:7].decode(), data[:8] + bytes((data[8] - 1,))
    return "b" if data[3:4] == b"b" else "a", None


def start(root: str = "") -> None:
    """Count a try down, then put the chosen slot in front of sys.path."""
    data = b""
    try:
        with open(root + _POINTER, "rb") as file:
            data = file.read(16)
        slot, pointer = choose(data)
        if pointer:
            with open(root + _POINTER + ".tmp", "wb") as file:
                file.write(pointer)
            os.rename(root + _POINTER + ".tmp", root + _POINTER)
    except OSError:  # no pointer, or a try that cannot be counted: run what is known to be good
        slot = "b" if data[3:4] == b"b" else "a"
    sys.path.insert(0, root + "/" + slot)


if __name__ == "__main__":
    try:
        files = os.listdir("/")
        if "id.cbor" in files or "claim.cbor" in files:  # on a bench, a board without must stay at its prompt
            __import__("machine").WDT(timeout=60000)  # covers importing the application and its first steps
    except (ImportError, OSError):
        pass  # a prompt on a desk, or an interpreter without a watchdog
    start()
