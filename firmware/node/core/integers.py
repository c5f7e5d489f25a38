"""Integer arithmetic that the language does not bring: MicroPython has neither math.isqrt nor a rounding division."""


def isqrt(value: int) -> int:
    """The largest integer whose square is not above `value` (>= 0)."""
    if value < 2:
        return value
    root = 1
    while root * root <= value:
        root <<= 1  # a power of two above the root, so that Newton comes down to it
    while True:
        better = (root + value // root) >> 1
        if better >= root:
            return root
        root = better


def div_round(value: int, by: int) -> int:
    """`value / by` (by > 0) to the nearest integer, halves upwards."""
    return (value + (by >> 1)) // by


def median3(a: int, b: int, c: int) -> int:
    """The middle one of three."""
    if a > b:
        a, b = b, a
    return a if c < a else b if c > b else c


def clamp(value: int, low: int, high: int) -> int:
    """The value nearest to `value` within low..high."""
    return low if value < low else high if value > high else value
