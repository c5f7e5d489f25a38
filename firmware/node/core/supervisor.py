"""Which tasks live, which are started again, and whether the watchdog may be fed: pure, told the time in ms of uptime.

A task proves its life by beating at least once per budget. One that ended, failed or went silent is started again after
a back-off. The watchdog is fed only while every mandatory task is within its budget; a mandatory task that keeps
failing although it beats in between ends in `is_lost`, and the node restarts.
"""

_FIRST_MS = 1000
_MAX_MS = 60000
_STEADY_MS = 300000  # a task that ran that long has recovered
_MAX_ROW = 8  # restarts in a row of a mandatory task before the node restarts


class Watched:
    """One task: `budget_ms` is the longest silence it is allowed."""

    def __init__(self, name: str, budget_ms: int, mandatory: bool, now_ms: int) -> None:
        self.name = name
        self.budget_ms = budget_ms
        self.mandatory = mandatory
        self.running = False
        self.proved = False  # has beaten since it was last started
        self.beat_ms = now_ms
        self.started_ms = now_ms
        self.start_at_ms = now_ms
        self.in_row = 0  # restarts since it last ran for long

    def is_silent(self, now_ms: int) -> bool:
        """True when the last beat is older than the budget."""
        return now_ms - self.beat_ms > self.budget_ms


class Supervisor:
    """The decider; `tasks/supervise.py` acts on it."""

    def __init__(self) -> None:
        self.restarts = 0  # of all tasks since boot
        self._tasks: "dict[str, Watched]" = {}

    def add(self, name: str, budget_ms: int, mandatory: bool, now_ms: int) -> None:
        """Watch a task from now on."""
        self._tasks[name] = Watched(name, budget_ms, mandatory, now_ms)

    def beat(self, name: str, now_ms: int) -> None:
        """The task is alive."""
        self._tasks[name].beat_ms = now_ms
        self._tasks[name].proved = True

    def started(self, name: str, now_ms: int) -> None:
        """The task runs. Starting proves nothing: the silence of a mandatory task goes on until it beats."""
        task = self._tasks[name]
        task.running = True
        task.proved = False
        task.started_ms = now_ms
        if not task.mandatory:
            task.beat_ms = now_ms

    def ended(self, name: str, now_ms: int) -> int:
        """The task ended, by itself, by an exception or cancelled: plan its restart; ms until then."""
        task = self._tasks[name]
        task.running = False
        task.in_row = 1 if now_ms - task.started_ms >= _STEADY_MS else task.in_row + 1
        self.restarts += 1
        wait = min(_MAX_MS, _FIRST_MS << min(task.in_row - 1, 6))
        if task.mandatory:
            wait = min(wait, task.budget_ms // 4)
        task.start_at_ms = now_ms + wait
        return wait

    def due(self, now_ms: int) -> "list[str]":
        """Tasks to start now."""
        return [task.name for task in self._tasks.values() if not task.running and now_ms >= task.start_at_ms]

    def silent(self, now_ms: int) -> "list[str]":
        """Running tasks to cancel, because they do not beat."""
        return [task.name for task in self._tasks.values() if task.running and task.is_silent(now_ms)]

    def may_feed(self, now_ms: int) -> bool:
        """True while every mandatory task is within its budget."""
        return not any(task.mandatory and task.is_silent(now_ms) for task in self._tasks.values())

    def all_beat(self, now_ms: int) -> bool:
        """True when every mandatory task runs and has beaten since its last start: the node as a whole works."""
        for task in self._tasks.values():
            if task.mandatory and not (task.running and task.proved and not task.is_silent(now_ms)):
                return False
        return True

    def lost(self) -> "str | None":
        """A mandatory task that fails again and again, or None."""
        for task in self._tasks.values():
            if task.mandatory and task.in_row > _MAX_ROW:
                return task.name
        return None
