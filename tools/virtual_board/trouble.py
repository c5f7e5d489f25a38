"""Faults of the board itself, switched on from outside (`trouble` of the control socket)."""

from tools.virtual_board.boot import physical_size

_ON_OFF = ("mute", "deaf-reset", "brownout-boot", "stuck-boot", "hang")
_COUNTS = ("bad-md5", "drop")


class Trouble:
    """Which faults are on. Each name is one row of `python -m tools.virtual_board --help`."""

    def __init__(self) -> None:
        self.values: dict[str, int] = dict.fromkeys((*_ON_OFF, *_COUNTS, "flash-id"), 0)
        self._dropped = [0, 0]

    def set(self, name: str, value: object) -> None:
        """Switch a fault on, or off with 0, false or null; ValueError for what does not exist."""
        if name not in self.values:
            raise ValueError(f"no trouble {name!r}: one of {', '.join(sorted(self.values))}")
        if name == "flash-id" and value:
            self.values[name] = physical_size(str(value))
        elif not isinstance(value, int | None) or not 0 <= (value or 0) < 1 << 31:
            raise ValueError(f"trouble {name}: a number, or true or false, not {value!r}")
        else:
            self.values[name] = int(value or 0)

    def on(self, name: str) -> bool:
        """The fault is on."""
        return self.values[name] != 0

    def line(self, data: bytes, direction: int) -> bytes:
        """What of `data` gets through (direction 0: to the host, 1: from it)."""
        every = self.values["drop"]
        if not every:
            return data
        kept = bytearray()
        for byte in data:
            self._dropped[direction] += 1
            if self._dropped[direction] % every:
                kept.append(byte)
        return bytes(kept)
