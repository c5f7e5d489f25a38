"""A random generator that gives the same numbers on CPython and MicroPython: xorshift32 of Marsaglia."""


class Random:
    """Numbers that depend on (seed, index) only, so any one input can be made again without those before it."""

    def __init__(self, seed: int, index: int) -> None:
        self._state = ((seed * 2654435761 + index) * 2246822519 + 3266489917) & 0xFFFFFFFF or 1
        for _ in range(4):
            self.bits()

    def bits(self) -> int:
        """32 random bits."""
        x = self._state
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        self._state = x
        return x

    def below(self, n: int) -> int:
        """A number of 0 .. n-1."""
        return self.bits() % n

    def data(self, size: int) -> bytes:
        """`size` random bytes."""
        return bytes([self.bits() & 0xFF for _ in range(size)])
