"""One run of a board's program: `micropython -i tools/virtual_board/device/run.py CHANNEL COUNTERS` (two file numbers).

tools/virtual_board/program.py starts it. When this file ends, the interpreter goes on with the prompt.
"""

import sys

sys.path.insert(0, sys.argv[0][: -len("/tools/virtual_board/device/run.py")])

from tools.virtual_board.device import startup

startup.run(globals())
