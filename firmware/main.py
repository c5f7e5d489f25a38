"""Runs the application from the slot that stage 0 chose, on this board. An update never replaces this file."""

import asyncio
import sys


def main() -> None:
    """Build the board and the node, run it; whatever ends it, the board restarts."""
    if sys.implementation[1] < (1, 24):
        raise SystemExit("MicroPython 1.24 or newer is needed: flash a newer image")
    from node import app
    from node.board.esp32 import Board
    from node.board.files import Files
    from node.core import provisioned

    files = Files()
    try:
        board = Board(provisioned.load(files))
    except provisioned.NotProvisionedError as error:
        raise SystemExit(str(error))
    try:
        asyncio.run(app.build(board, files, sys.path[0].strip("/")).run())
    except Exception as error:  # nobody reads a prompt on a pole
        sys.print_exception(error)
    board.reset()


if __name__ == "__main__":
    main()
