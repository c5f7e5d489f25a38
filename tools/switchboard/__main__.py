"""Faults in a running demonstration: `python -m tools.switchboard DIR ORDER...`."""

import argparse
import socket
import sys
from pathlib import Path

SOCKET = "switchboard.sock"
TIMEOUT_S = 60
ORDERS = """orders (NODE is a node's id, or all):
  cut NODE                      nothing arrives any more, and nobody is told
  refuse NODE                   connections are refused
  drop NODE                     connections that exist are reset
  delay NODE SECONDS            each piece of data is so late
  throttle NODE BYTES           so many bytes per second
  heal NODE                     the link is well again
  kill NODE | service | broker  SIGKILL; a broker comes back by itself
  start NODE | service          after a kill
  fault NODE PART NAME VALUE    a part fails: sen66 crc 3, sen66 unplugged 1, lamp failed 1; VALUE 0 ends it
  silence time | names          the time server or the name server does not answer; speak: it does again
  rate X                        time runs X times as fast"""


def main(words: list[str]) -> int:
    """Send one order; the exit code: 0, 1 when it was refused, 5 when nobody listens."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.switchboard",
        description=__doc__,
        epilog=ORDERS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="of the demonstration (its --keep DIR)")
    parser.add_argument("order", nargs="+", metavar="ORDER", help="a word and what belongs to it")
    asked = parser.parse_args(words)
    try:
        answer = send(asked.directory / SOCKET, " ".join(asked.order))
    except OSError as error:
        print(f"Error: no demonstration listens in {asked.directory}: {error.strerror}", file=sys.stderr)
        return 5
    print(answer, file=sys.stderr if answer != "ok" else sys.stdout)
    return 0 if answer == "ok" else 1


def send(path: Path, order: str) -> str:
    """What the test bench answers to an order; OSError when it is not there."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(TIMEOUT_S)
        line.connect(str(path))
        line.sendall(order.encode() + b"\n")
        with line.makefile(encoding="utf-8") as answers:
            return answers.readline().strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
