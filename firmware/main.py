"""Runs the application from the slot that stage 0 chose, on this board. An update never replaces this file."""

import gc
import sys

_COLLECT = 32768  # bytes of garbage after which to collect, before the heap takes from the memory that TLS needs


def main() -> None:
    """Build the board and the node, run it; whatever ends it, the board restarts.

    A board that cannot run says why and stays at its prompt: SystemExit would start it again at once, without a word.
    """
    if sys.implementation.version[:2] < (1, 24):
        print("MicroPython 1.24 or newer is needed: flash a newer image")
        return
    import asyncio  # older ones have none

    from node import app
    from node.board.esp32 import Board
    from node.board.files import Files
    from node.core import provisioned

    gc.threshold(_COLLECT)
    files = Files()
    try:
        board = Board(provisioned.load(files))
    except provisioned.NotProvisionedError as error:
        print(error)
        return
    try:
        asyncio.run(app.build(board, files, sys.path[0].strip("/")).run())
    except Exception as error:  # nobody reads a prompt on a pole
        sys.print_exception(error)
    board.reset()


if __name__ == "__main__":
    main()
