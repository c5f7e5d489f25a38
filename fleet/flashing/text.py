"""Lines of text out of the bytes of a serial port, whatever these bytes are."""

import re

LINE_MAX = 4096  # bytes; what is longer is passed on in pieces
_COLOURS = re.compile(r"\x1b\[[0-9;]{0,16}m")  # the bootloader colours its lines
_UNREADABLE = 3  # one character in so many is none: another bit rate, or noise


class LineReader:
    """Cuts a stream into lines. `rest` is what has come of the next one: a prompt never ends its line."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def rest(self) -> str:
        """The line that is not complete yet."""
        return clean(self._rest)

    def take_rest(self) -> str:
        """The same, and the line is over: what comes next begins another."""
        found, self._rest = self.rest, b""
        return found

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their ends, safe to show on a terminal."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [piece for line in whole for piece in _pieces(line.rstrip(b"\r"))]
        while len(self._rest) > LINE_MAX:
            lines.append(self._rest[:LINE_MAX])
            self._rest = self._rest[LINE_MAX:]
        return [clean(line) for line in lines]


def _pieces(line: bytes) -> list[bytes]:
    return [line[at : at + LINE_MAX] for at in range(0, len(line), LINE_MAX)] or [b""]


def clean(line: bytes) -> str:
    """Text in which nothing moves a cursor: colours go, what is no printable character becomes U+FFFD."""
    text = _COLOURS.sub("", line.decode(errors="replace"))
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in text)


def is_noise(lines: list[str]) -> bool:
    """Whether these lines are no text at all, as with a wrong bit rate."""
    text = "".join(lines)
    return text.count("\ufffd") * _UNREADABLE > len(text)
