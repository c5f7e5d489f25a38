"""How names, numbers and times of a run look to a reader."""

from datetime import datetime

from fleet.hil.results import Measurement, Run

_MINUTE = 60
_GROUPED = 10_000  # from here on a whole number is written in groups of three
_HUGE = 1e12
_SCALES = ((_HUGE, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))  # from there on, divided by, unit


def full(value: float) -> str:
    """A measured value: whole numbers in groups of three, others to four digits."""
    if value == int(value) and abs(value) < _HUGE:
        return f"{int(value):,}".replace(",", "\u202f") if abs(value) >= _GROUPED else str(int(value))
    return f"{value:.4g}"


def short(value: float) -> str:
    """The same where there is no room: `80k`, `1.5M`."""
    for least, divisor, name in _SCALES:
        if abs(value) >= least:
            return f"{value / divisor:.4g}{name}"
    return f"{value:.4g}"


def limits(measurement: Measurement) -> str:
    """What a value must keep; nothing when there is nothing."""
    low, high = measurement.low, measurement.high
    if low is not None and high is not None:
        return f"{full(low)} to {full(high)}"
    return f"≥ {full(low)}" if low is not None else f"≤ {full(high)}" if high is not None else ""


def when(run: Run) -> str:
    """The begin of a run, as people write it."""
    return run.started.replace("T", " ").removesuffix("Z")[:16] or run.id


def several(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def test_name(test_id: str) -> str:
    """The suite and the test, without folders: `boot: the node reports after power on`."""
    path, _, name = test_id.partition("::")
    suite = readable(path.rsplit("/", 1)[-1].removesuffix(".py"))
    return f"{suite}: {readable(name)}" if name else suite


def readable(name: str) -> str:
    """The name of a test as the sentence that it is; parameters stay as they are."""
    sentence, bracket, parameters = name.partition("[")
    words = sentence.removeprefix("test_").replace("_", " ")
    return f"{words} [{parameters}" if bracket else words


def lasted(run: Run) -> str:
    """`12 min 30 s`; nothing for a run that did not end."""
    if not run.ended:
        return ""
    seconds = int((datetime.fromisoformat(run.ended) - datetime.fromisoformat(run.started)).total_seconds())
    return f"{seconds // _MINUTE} min {seconds % _MINUTE} s" if seconds >= _MINUTE else f"{seconds} s"
