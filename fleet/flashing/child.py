"""Programs of other people run as child processes: bounded in time, and never left behind."""

import os
import resource
import select
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

from fleet.errors import FleetError, TimedOutError
from fleet.processes import tied

_LOOK_S = 0.2  # how soon a request to stop is seen
_READ = 65536
_LINE_MAX = 1 << 20  # bytes of output that are kept for lines
OUTPUT_MAX = 8 << 20  # bytes of the output that `run` collects


class CancelledError(FleetError):
    """Somebody wants no more of it."""


class FloodError(FleetError):
    """A program said more than anybody reads."""


def run(
    words: Sequence[str], typed: str, timeout_s: float, environ: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """The program's exit code and output; `typed` is its stdin.

    TimedOutError when it was killed for its slowness, FloodError when it said more than `OUTPUT_MAX` bytes.
    """
    with _memory("out") as out, _memory("err") as err:
        try:
            code = subprocess.run(
                list(words),
                input=typed.encode(),
                stdout=out,
                stderr=err,
                timeout=timeout_s,
                env=dict(environ),
                preexec_fn=_kept_small(),
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise TimedOutError(f"{words[0]} did not end within {timeout_s:g} s") from None
        said, complained = _text(out), _text(err)
    return subprocess.CompletedProcess(words, code, said, complained)


def _memory(name: str) -> BinaryIO:
    """A file that is nowhere on disk."""
    return os.fdopen(os.memfd_create(name), "w+b")


def _kept_small() -> Callable[[], None]:
    """A `preexec_fn`: `tied`, and no file of the child grows beyond OUTPUT_MAX, those that it speaks to included."""
    tie = tied()

    def prepare() -> None:
        tie()
        resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_MAX, OUTPUT_MAX))

    return prepare


def _text(file: BinaryIO) -> str:
    if os.fstat(file.fileno()).st_size >= OUTPUT_MAX:
        raise FloodError(f"a program said more than {OUTPUT_MAX} bytes")
    file.seek(0)
    return file.read().decode(errors="replace")


def follow(
    words: Sequence[str],
    on_line: Callable[[str], None],
    idle_s: float,
    environ: Mapping[str, str],
    stop: threading.Event | None = None,
) -> int:
    """Run a program and hand on each line of its output (both streams) as it comes; its exit code.

    TimedOutError when it was killed because it said nothing for `idle_s`, CancelledError because `stop` was set.
    """
    with subprocess.Popen(
        list(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environ),
        preexec_fn=tied(),
    ) as process:
        try:
            return _listen(process, on_line, idle_s, stop or threading.Event())
        except BaseException:
            process.kill()
            raise


def _listen(
    process: "subprocess.Popen[bytes]", on_line: Callable[[str], None], idle_s: float, stop: threading.Event
) -> int:
    assert process.stdout is not None
    handle, rest, heard = process.stdout.fileno(), b"", time.monotonic()
    while True:
        if stop.is_set():
            raise CancelledError("interrupted")
        if select.select([handle], [], [], _LOOK_S)[0]:
            data = os.read(handle, _READ)
            if not data:
                break
            *lines, rest = (rest + data)[-_LINE_MAX:].split(b"\n")
            heard = time.monotonic()
            for line in lines:
                on_line(line.decode(errors="replace").rstrip())
        elif time.monotonic() - heard > idle_s:
            raise TimedOutError(f"a program said nothing for {idle_s:g} s and was ended")
    if rest:
        on_line(rest.decode(errors="replace").rstrip())
    return process.wait(idle_s)
