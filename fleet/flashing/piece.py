"""What goes to a place in flash."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Piece:
    """`data` at `offset` of the flash; `name` says what it is."""

    name: str
    offset: int
    data: bytes = field(repr=False)

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + len(self.data)


def size_of(pieces: list[Piece]) -> int:
    """Bytes of flash that they fill."""
    return sum(len(piece.data) for piece in pieces)
