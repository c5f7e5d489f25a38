"""The city as a test sees it: the fleet's directory, its command line, and the network between board and broker."""

import contextlib
import io
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from fleet import cli
from fleet import config as settings
from fleet.broker import control
from hil_tests.harness.verdict import InfrastructureError

TIMEOUT_S = 60.0  # the first question makes the city
COMMAND_S = 120.0
MAX_ANSWER = 1 << 20


class CommandError(AssertionError):
    """`fleet ...` ended with an error; `code` and `hint` are those of its JSON, `message` has the cause with it."""

    def __init__(self, words: tuple[str, ...], status: int, error: dict[str, Any]) -> None:
        self.status = status
        self.code = str(error.get("code", ""))
        self.message = ": ".join(str(error[key]) for key in ("message", "cause") if error.get(key))
        self.hint = str(error.get("hint", ""))
        super().__init__(f"fleet {' '.join(words)}: exit {status}: {self.message} ({self.hint})")


class City:
    """One fleet for the whole run, whichever process asks."""

    def __init__(self, keeper: Path) -> None:
        self._keeper = keeper
        found = self._ask("found")
        self.address = str(found["address"])
        self.gates: dict[str, list[int]] = found["gates"]
        self.directory = Path(found["fleet"])
        self.config = settings.load(self.directory)

    @property
    def broker_log(self) -> Path:
        """The broker's own words."""
        return control.log_file(self.config)

    def broker_of(self, board: str) -> str:
        """Where that board finds the broker."""
        return f"{self.address}:{self.gates[board][0]}"

    def time_of(self, board: str) -> str:
        """Where that board finds the time."""
        return f"{self.address}:{self.gates[board][1]}"

    def cut(self, board: str) -> None:
        """The board's way to the broker is cut: nothing arrives, and nobody is told."""
        self._ask("cut", board=board)

    def refuse(self, board: str) -> None:
        """As if no broker ran: the board's connection is reset, and new ones are refused."""
        self._ask("refuse", board=board)

    def drop(self, board: str) -> None:
        """The board's connection is reset; the next one works."""
        self._ask("drop", board=board)

    def heal(self, board: str) -> None:
        """The way is free again."""
        self._ask("heal", board=board)

    def connections(self, board: str) -> int:
        """How often the board has connected in this run."""
        return int(self._ask("connections", board=board)["connections"])

    def kill_broker(self) -> None:
        """SIGKILL to the broker; the service starts it again. Only for tests that are alone in the city."""
        self._ask("kill-broker")

    def kill_service(self) -> None:
        """SIGKILL to the service and with it the broker, then both anew. Only for tests that are alone in the city."""
        self._ask("kill-service")

    def fleet(self, *words: str) -> Any:
        """What `fleet WORDS --json` prints about this fleet; CommandError when it fails. Not for boards."""
        return json.loads(self._called(words, "--json"))

    def board(self, *words: str, own: bool = True, timeout_s: float = COMMAND_S) -> Any:
        """The same for `fleet board WORDS`, in a process of its own as it has programs to run.

        `own`: the command is about this fleet.
        """
        where = ("--fleet", str(self.directory)) if own else ()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "fleet", "board", *words, *where, "--json"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
                text=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandError(words, -1, {"message": f"no end within {timeout_s:g} s"}) from error
        if done.returncode:
            raise CommandError(words, done.returncode, _error_in(done.stderr, done.stdout))
        return json.loads(done.stdout)

    def rows_of(self, node: str) -> list[tuple[str, str, str]]:
        """(boot, number, channel) of every stored value of a node."""
        rows = map(json.loads, self._called(("data", "export", node), "-o", "jsonl").splitlines())
        return [(row["boot"], row["seq"], row["channel"]) for row in rows]

    def _called(self, words: tuple[str, ...], *form: str) -> str:
        """What a command printed, in this process: starting another takes longer than most of them."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main([*words, *form, "--fleet", str(self.directory)])
        if code:
            raise CommandError(words, code, _error_in(err.getvalue(), out.getvalue()))
        return out.getvalue()

    def _ask(self, do: str, **values: Any) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
                door.settimeout(TIMEOUT_S)
                door.connect(str(self._keeper))
                door.sendall(json.dumps({"do": do, **values}).encode() + b"\n")
                with door.makefile("rb") as file:
                    answer = dict(json.loads(file.readline(MAX_ANSWER)))
        except (OSError, ValueError) as error:
            raise InfrastructureError(f"the fleet of this run does not answer: {error}") from error
        if not answer["ok"]:
            raise InfrastructureError(f"the fleet of this run: {do}: {answer['error']}")
        return answer


def _error_in(said: str, printed: str) -> dict[str, Any]:
    """The error object among what a command said on stderr, and what it printed when that was a result."""
    found: dict[str, Any] = {"message": said.strip()[-1000:]}
    for line in reversed(said.splitlines()):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found.update(json.loads(line)["error"])
            break
    with contextlib.suppress(ValueError):
        found["printed"] = json.loads(printed)
    return found
