"""The fixed programme of a night, over minutes of the UTC day: off in daylight, dimmed in the dead of the night."""

from protocol.channels import REASON_FAIL_BRIGHT, REASON_PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

OFF = 0


def is_within(minute: int, start: int, end: int) -> bool:
    """True from `start` until before `end`, over midnight when `end` comes first; never when they are equal."""
    if start <= end:
        return start <= minute < end
    return minute >= start or minute < end


def programme(setting: "Callable[[str], Any]", minute: "int | None") -> "tuple[int, int]":
    """(level, REASON_*) for a minute of the UTC day (0..1439).

    None, the time is unknown: the lamp is on. Equal times of on and off: a lamp that is never off.
    """
    full: int = setting("level_full")
    if minute is None:
        return full, REASON_FAIL_BRIGHT
    on, off = setting("lamp_on_min"), setting("lamp_off_min")
    if on != off and not is_within(minute, on, off):
        return OFF, REASON_PROGRAM
    if is_within(minute, setting("dim_from_min"), setting("dim_to_min")):
        return setting("level_dim"), REASON_PROGRAM
    return full, REASON_PROGRAM
