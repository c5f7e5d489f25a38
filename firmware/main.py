"""Runs the program of the slot that stage 0 chose. An update never replaces this file."""

import sys


def main() -> None:
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
        print('@lumenair {"state":"damaged"}')  # protocol/report.py may be what is missing


if __name__ == "__main__":
    main()
