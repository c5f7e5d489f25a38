"""One process of a run: its boards, its records, and the city that the first process keeps for all."""

import contextlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fleet import processes
from fleet.errors import FleetError
from fleet.hil import inventory, lock, results
from fleet.hil import plan as plans
from fleet.hil.inventory import Board
from hil_tests.harness.assign import Seat
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.city import City
from hil_tests.harness.keeper import Keeper
from hil_tests.harness.run import Run
from hil_tests.harness.verdict import InfrastructureError, bench_fault


class Session:
    """`ticket` is what the first process hands to the others; the first one is made without."""

    def __init__(self, config: Any, ticket: dict[str, Any] | None) -> None:
        self.plan = plans.of(config)
        self.bench = inventory.load(self.plan.bench)
        self.boards: Sequence[Board] = self.plan.choose(self.bench)
        self._keeper: Keeper | None = None
        self._began = False
        self.exit_code: int | None = None  # of pytest, once it is known
        if ticket is None:
            ticket = self._begin(config.getoption("--seed"))
        self.ticket = ticket
        self.directory = Path(ticket["directory"])
        self.seed: int = ticket["seed"]
        worker = getattr(config, "workerinput", {}).get("workerid", "main")
        if worker != "main":
            processes.end_with_parent()  # a run that is killed lets its boards go at once
        self.recorder = results.Recorder(self.directory, worker)
        self.run = Run(Path(ticket["keeper"]).parent / "run")
        self._city: City | None = None
        self._held: lock.Held | None = None

    def _begin(self, seed: int | None) -> dict[str, Any]:
        directory = self.plan.directory
        if directory is None:  # pytest was called by hand
            rows = tuple(results.BoardFacts(one.id, one.port, one.chip, one.kind, one.tags) for one in self.boards)
            run = results.Run("", bench=self.bench.about.name, boards=rows)
            directory = results.begin(self.bench.results, run)
            self._began = True
        self._keeper = Keeper(self.bench)
        self._keeper.start()
        number = random.randrange(1 << 31) if seed is None else seed
        return {"directory": str(directory), "keeper": str(self._keeper.socket), "seed": number}

    @property
    def city(self) -> City:
        """The fleet of this run; the first to ask makes it."""
        if self._city is None:
            self._city = City(Path(self.ticket["keeper"]))
        return self._city

    @property
    def logs(self) -> list[Path]:
        """Of the broker and the service, where there are any."""
        return sorted(self._city.config.log_dir.glob("*.log")) if self._city else []

    def board(self, seat: Seat) -> BenchBoard:
        """A board for a test, locked, up to its loader; kept until a test wants another.

        InfrastructureError when its own board is broken, or nobody gives it free in time.
        """
        broken = self.recorder.broken()
        wanted = seat.boards[0]
        if wanted.id in broken:
            raise InfrastructureError(f"{wanted.id} is broken: {broken[wanted.id]}")
        fit = [board for board in seat.boards if board.id not in broken]
        if self._held is None or self._held.board != wanted.id:
            self.release()
            try:
                self._held = lock.take(fit, 1, self.plan.wait)[0]
            except FleetError as error:
                raise bench_fault("no board", error) from error
        held = next(board for board in fit if board.id == self._held.board)
        found = BenchBoard(held, self.bench, self.run, self.recorder)
        with self.breaking(found):
            found.to_loader()
        return found

    @contextlib.contextmanager
    def breaking(self, board: BenchBoard) -> Any:
        """A fault of the bench within makes the board broken for the whole run."""
        try:
            yield
        except InfrastructureError as error:
            self.recorder.board(board.id, results.BROKEN, str(error))
            raise

    def release(self) -> None:
        """Let others have the board."""
        if self._held is not None:
            self._held.release()
            self._held = None

    def close(self) -> None:
        """End what this process began."""
        self.release()
        self.recorder.close()
        if self._keeper is not None:
            self._keeper.stop()
        if self._began:
            results.end(self.directory, self.exit_code)
