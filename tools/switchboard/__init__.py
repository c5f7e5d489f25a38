"""The faults that a network has, on demand: links that are cut or slow, names that move, clocks that are silent."""

from tools.switchboard.link import Link
from tools.switchboard.names import NameServer
from tools.switchboard.times import TimeServer, WorldClock

__all__ = ["Link", "NameServer", "TimeServer", "WorldClock"]
