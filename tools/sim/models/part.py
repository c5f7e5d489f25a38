"""What every model is: a part with a clock, a world and faults that can be switched on while it runs."""

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.world import World

FOREVER = -1  # value of a counted fault that does not run out


class Nack(Exception):
    """The part does not acknowledge; the bus turns it into OSError."""


class Part:
    """Base of the models. FAULTS lists the names that `fault` takes."""

    NAME = ""
    FAULTS: "tuple[str, ...]" = ()

    def __init__(self, now_ms: "Callable[[], int]", world: "World") -> None:
        self.now_ms = now_ms
        self.world = world
        self.faults: "dict[str, int]" = {}

    def fault(self, name: str, value: int = FOREVER) -> None:
        """Switch a fault on (0: off), a counted one for `value` strikes; KeyError with the names for an unknown one."""
        if name not in self.FAULTS:
            raise KeyError(f"{self.NAME} has no fault {name}: one of {', '.join(self.FAULTS)}")
        if value:
            self.faults[name] = value
        else:
            self.faults.pop(name, None)

    def strikes(self, name: str) -> bool:
        """True when a counted fault strikes now; uses up one."""
        left = self.faults.get(name, 0)
        if left > 0:
            self.fault(name, left - 1)
        return left != 0


class I2cPart(Part):
    """A part on an I2C bus. `unplugged` and `stuck` are flags, `nack` is counted."""

    ADDRESS = 0
    FAULTS: "tuple[str, ...]" = ("unplugged", "stuck", "nack")

    def write(self, data: bytes) -> None:
        """A write transfer; raises Nack."""
        raise NotImplementedError

    def read(self, count: int) -> bytes:
        """A read transfer of `count` bytes; raises Nack."""
        raise NotImplementedError


class I2cBus:
    """The calls of machine.I2C over a set of models."""

    def __init__(self, parts: "list[I2cPart]") -> None:
        self.parts = {part.ADDRESS: part for part in parts}

    def writeto(self, addr: int, buf: "bytes | bytearray | memoryview", stop: bool = True) -> int:
        """Write `buf`; the number of acknowledged bytes. Raises OSError."""
        part = self._find(addr)
        try:
            part.write(bytes(buf))
        except Nack:
            raise OSError(errno.ENODEV)
        return len(buf)

    def readfrom_into(self, addr: int, buf: "bytearray | memoryview", stop: bool = True) -> None:
        """Fill `buf`. Raises OSError."""
        part = self._find(addr)
        try:
            buf[:] = part.read(len(buf))
        except Nack:
            raise OSError(errno.ENODEV)

    def readfrom(self, addr: int, nbytes: int, stop: bool = True) -> bytes:
        """`nbytes` bytes. Raises OSError."""
        buf = bytearray(nbytes)
        self.readfrom_into(addr, buf)
        return bytes(buf)

    def writeto_mem(self, addr: int, memaddr: int, buf: "bytes | bytearray | memoryview") -> None:
        """Write `buf` to the register `memaddr`. Raises OSError."""
        self.writeto(addr, bytes([memaddr]) + bytes(buf))

    def readfrom_mem_into(self, addr: int, memaddr: int, buf: "bytearray | memoryview") -> None:
        """Fill `buf` from the register `memaddr` on. Raises OSError."""
        self.writeto(addr, bytes([memaddr]), False)
        self.readfrom_into(addr, buf)

    def readfrom_mem(self, addr: int, memaddr: int, nbytes: int) -> bytes:
        """`nbytes` bytes from the register `memaddr` on. Raises OSError."""
        buf = bytearray(nbytes)
        self.readfrom_mem_into(addr, memaddr, buf)
        return bytes(buf)

    def scan(self) -> "list[int]":
        """Addresses that answer."""
        return sorted(address for address, part in self.parts.items() if "unplugged" not in part.faults)

    def _find(self, address: int) -> I2cPart:
        for part in self.parts.values():
            if "stuck" in part.faults:
                raise OSError(errno.ETIMEDOUT)  # one part that holds SDA down stops the whole bus
        found = self.parts.get(address)
        if found is None or "unplugged" in found.faults or found.strikes("nack"):
            raise OSError(errno.ENODEV)
        return found
