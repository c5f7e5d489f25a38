"""What a console says when a program dies, found in its lines. Pure."""

from collections.abc import Iterable

from fleet.flashing import signs

_DEADLY = (signs.PANIC, signs.TRACEBACK, signs.BROWNOUT, signs.WATCHDOG, signs.FILES)
_TRACE = "Traceback (most recent call last)"
_SHOWN = 300  # characters of one finding


def find(lines: Iterable[str]) -> list[str]:
    """One text for each crash, in order: the line that tells of it, and for a traceback its last line.

    A traceback is found on the console itself and in a line of our own log, where `|` parts its lines.
    """
    found: list[str] = []
    tracing = False  # the lines of a traceback are being read
    for line in lines:
        if tracing:
            tracing = line.startswith((" ", "\t"))
            if not tracing:
                found[-1] = line.strip()[:_SHOWN]
            continue
        log = signs.log_of(line)
        sign = None if log else signs.sign_of(line)
        if log is not None and _TRACE in log.text:
            found.append(f"{log.tag}: {log.text.rstrip(' |').rsplit(' | ', 1)[-1]}"[:_SHOWN])
        elif sign is not None and sign.name in _DEADLY:
            found.append(line.strip()[:_SHOWN])
            tracing = sign.name == signs.TRACEBACK
    return found
