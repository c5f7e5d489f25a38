"""Which cuts there are and which of them are made; what one of them has shown. Runs on both interpreters."""

from tools.sim.world import hash32

TYPE_CHECKING = False
if TYPE_CHECKING:
    Cut = tuple[int, int]  # within which flash operation, after how many bytes of it

_AGAIN_EVERY = 20  # of so many flash operations of the boots after cuts, one is cut as well


class Choice:
    """Which cuts to make. `at`, `keep`: only that one, and `again` (operation, bytes) after it; `sample`: about so many
    by `seed`; `share` (index, count): this worker's part of all of them. 0 or None: no such limit."""

    def __init__(
        self,
        seed: int = 1,
        sample: int = 0,
        share: "tuple[int, int]" = (0, 1),
        at: int = 0,
        keep: "int | None" = None,
        again: "Cut | None" = None,
    ) -> None:
        self.seed = seed
        self.sample = sample
        self.share = share
        self.at = at
        self.keep = keep
        self.again = again
        self.total = 0

    def variants(self, number: int, size: int) -> "list[int]":
        """How many bytes of an operation are done when the power fails in it: none to all, each once."""
        found = {0, 1, size // 2, size - 1, size, hash32(self.seed, number, size) % (size + 1)}
        return sorted(found)

    def plan(self, sizes: "list[int]") -> None:
        """There are operations of these sizes."""
        self.total = sum([len(self.variants(number + 1, size)) for number, size in enumerate(sizes)])

    def keeps(self, number: int, size: int) -> "list[int]":
        """The cuts to make in that operation."""
        if self.at:
            return [self.keep if self.keep is not None else size] if number == self.at else []
        return [keep for keep in self.variants(number, size) if self._is_chosen(hash32(self.seed, number, keep))]

    def _is_chosen(self, chance: int) -> bool:
        index, count = self.share
        return (not self.sample or chance % self.total < self.sample) and (chance >> 16) % count == index

    def second(self, cut: "Cut", number: int, size: int) -> "list[int]":
        """The cuts to make in an operation of the boot after a cut: mostly none."""
        if self.at:
            return [self.again[1]] if self.again is not None and self.again[0] == number else []
        chance = hash32(self.seed, cut[0], cut[1], number)
        if chance % _AGAIN_EVERY:
            return []
        found = self.variants(number, size)
        return [found[(chance >> 12) % len(found)]]


class Bad:
    """What was found after one cut, and how to see it again. `image` is the flash, as long as `on_bad` looks at it."""

    def __init__(self, cut: "Cut", again: "Cut | None", text: str, image: bytearray) -> None:
        self.cut = cut
        self.again = again
        self.text = text
        self.image = image
