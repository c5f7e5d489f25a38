"""Runs the program of the slot that stage 0 chose. An update never replaces this file."""

import sys

_NOTE = "/crash.txt"
_NOTE_BYTES = 96


def main(root: str = "") -> None:
    """Start; a board that cannot says why and stays at its prompt, unless the watchdog of stage 0 takes it away.

    SystemExit would start it again at once, without a word.
    """
    if sys.implementation.version[:2] < (1, 24):
        print("MicroPython 1.24 or newer is needed: flash a newer image")
        return
    try:
        from node import start

        start.main()
    except Exception as error:
        sys.print_exception(error)
        note(error, root)
        print('@lumenair {"state":"damaged"}')  # protocol/report.py may be what is missing


def note(error: Exception, root: str = "") -> None:
    """A line for the program that runs next, which may be the one before. No flash that refuses it is in the way."""
    try:
        with open(root + _NOTE, "wb") as file:
            file.write("{}: {}".format(error.__class__.__name__, error).encode()[:_NOTE_BYTES])
    except (OSError, MemoryError):
        pass


if __name__ == "__main__":
    main()
