"""A whole fleet on this computer: real broker, real service, nodes under real MicroPython, and faults between them."""

from tools.testbed.account import Account, take
from tools.testbed.bed import Testbed
from tools.testbed.service import ServiceProcess

__all__ = ["Account", "ServiceProcess", "Testbed", "take"]
