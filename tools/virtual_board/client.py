"""The far end of the control socket, for tests and tools, and from the shell:
`python -m tools.virtual_board.client DIR ORDER [key=value ...]`."""

import argparse
import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_LINE_MAX = 1 << 20
_TIMEOUT_S = 60.0


class BoardError(Exception):
    """The board refuses an order, or nobody listens; the text says why."""


class Client:
    """One board, by its directory or the path of its control socket. A context manager; thread-bound."""

    def __init__(self, path: Path | str, timeout_s: float = _TIMEOUT_S) -> None:
        self.path = Path(path) / "control" if Path(path).is_dir() else Path(path)
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """Give an order and wait for its answer; `wait` and `leap` may take their own time."""
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX)
                with short(self.path) as name:
                    self._socket.connect(name)
            self._socket.settimeout(_patience(self._timeout_s, do, values))
            self._socket.sendall(_order(do, values))
            answer = bytearray()
            while not answer.endswith(b"\n"):
                data = self._socket.recv(_LINE_MAX)
                if not data:
                    raise ConnectionResetError("the board has ended")
                answer += data
        except OSError as error:
            self.close()
            raise _refusal(self.path, error) from None
        return _result(bytes(answer))

    async def aask(self, do: str, **values: Any) -> dict[str, Any]:
        """The same within an event loop, on a connection of its own."""
        try:
            async with asyncio.timeout(_patience(self._timeout_s, do, values)):
                with short(self.path) as name:
                    reader, writer = await asyncio.open_unix_connection(name, limit=_LINE_MAX)
                try:
                    writer.write(_order(do, values))
                    answer = await reader.readline()
                finally:
                    writer.close()
        except OSError as error:
            raise _refusal(self.path, error) from None
        if not answer:
            raise BoardError(f"{self.path}: the board has ended")
        return _result(answer)

    def close(self) -> None:
        """Hang up; the next `ask` connects again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@contextmanager
def short(path: Path) -> Iterator[str]:
    """A name for a socket whose path may be longer than the 107 bytes that the kernel takes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _refusal(path: Path, error: OSError) -> BoardError:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return BoardError(f"{path}: no virtual board runs there")
    return BoardError(f"{path}: {error.strerror or error or type(error).__name__}")


def _order(do: str, values: dict[str, Any]) -> bytes:
    return json.dumps({"do": do, **values}).encode() + b"\n"


def _patience(timeout_s: float, do: str, values: dict[str, Any]) -> float:
    """An order that waits by itself is waited for at least as long."""
    return timeout_s + float(values.get("timeout_s", 0)) if do == "wait" else timeout_s


def _result(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer)
    if not found.pop("ok", False):
        raise BoardError(str(found.get("error", "refused")))
    return found


def main(words: list[str]) -> int:
    """Send one order, print the answer; 0, or 1 when it was refused."""
    parser = argparse.ArgumentParser(prog="python -m tools.virtual_board.client", description=__doc__)
    parser.add_argument("board", type=Path, metavar="DIR", help="of the board")
    parser.add_argument("order", metavar="ORDER", help="see python -m tools.virtual_board --help")
    parser.add_argument("values", nargs="*", default=[], metavar="key=value", help="JSON, or a text as it is")
    asked = parser.parse_args(words)
    values = {}
    for word in asked.values:
        key, _, text = word.partition("=")
        try:
            values[key] = json.loads(text)
        except ValueError:
            values[key] = text
    try:
        print(json.dumps(Client(asked.board).ask(asked.order, **values)))
    except BoardError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
