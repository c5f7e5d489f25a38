"""The same work on many boards side by side: one that fails stops no other, and nobody waits for the slowest."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Generic, TypeVar

from fleet.errors import FleetError
from fleet.flashing.ports import Port

JOBS = 16  # boards at a time; a USB host gets slow beyond that
T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of one board: a result or an error, after `seconds`."""

    port: Port
    seconds: float
    result: T | None = None
    error: FleetError | None = None


def each(
    ports: Sequence[Port], work: Callable[[Port], T], stop: threading.Event, jobs: int = JOBS
) -> Iterator[Outcome[T]]:
    """The outcome of each board, as they end. When the caller goes away, `stop` is set and all are waited for."""

    def one(port: Port) -> Outcome[T]:
        start = time.monotonic()
        try:
            result = work(port)
            return Outcome(port, time.monotonic() - start, result=result)
        except FleetError as error:
            return Outcome(port, time.monotonic() - start, error=error)
        except Exception as error:  # whatever it is, the other boards are not to blame
            wrong = FleetError(f"{port.url}: an error of this program", cause=f"{type(error).__name__}: {error}")
            return Outcome(port, time.monotonic() - start, error=wrong)

    with ThreadPoolExecutor(min(jobs, max(1, len(ports)))) as pool:
        running = [pool.submit(one, port) for port in ports]
        try:
            for future in as_completed(running):
                yield future.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
