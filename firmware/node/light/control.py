"""From the level that is wanted to the level that is sent: fades, and the soft start after a power cut.

After a power cut a whole street starts at once, so each lamp comes up within a random time - from a dim level,
not from darkness.
"""

from node.light.programme import programme
from protocol.channels import REASON_FAIL_BRIGHT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.light.arbiter import Arbiter

FULL = 200  # 0.5 %
SOFT_START = 20  # level of the first instant after a power cut
SOFT_MS = 60000  # longest soft start
FADE_MS = 2000  # from one end of the range to the other
SETTLE_MS = 10000  # after a change, until gear and meter show the new level


class Control:
    """The decider of a lamp. `level` is what the lamp is to be sent now; times are ms of uptime."""

    def __init__(
        self,
        arbiter: "Arbiter",
        setting: "Callable[[str], Any]",
        random: "Callable[[int], int]",
        soft: bool,
        now_ms: int,
    ) -> None:
        """`soft`: power has just come back."""
        self.arbiter = arbiter
        self.level = SOFT_START if soft else FULL
        self.target = self.level
        self.reason = REASON_FAIL_BRIGHT  # nothing has been decided yet
        self._setting = setting
        self._soft_ms = random(SOFT_MS + 1) if soft else 0
        self._from = self.level
        self._from_ms = self._till_ms = now_ms

    def step(self, minute: "int | None", now_ms: int) -> int:
        """Decide anew, for a minute of the UTC day or None while the time is unknown; the level to send."""
        target, self.reason = self.arbiter.decide(programme(self._setting, minute), now_ms // 1000)
        if target != self.target:
            self._fade(target, now_ms)
        if now_ms >= self._till_ms:
            self.level = target
        else:
            part = (target - self._from) * (now_ms - self._from_ms)
            self.level = self._from + part // (self._till_ms - self._from_ms)
        return self.level

    def fail_bright(self, now_ms: int) -> int:
        """Whatever was decided, the lamp is at full now; the next step starts from there."""
        self.level = self.target = self._from = FULL
        self.reason = REASON_FAIL_BRIGHT
        self._from_ms = self._till_ms = now_ms
        return FULL

    @property
    def is_fading(self) -> bool:
        """True while the level is on its way."""
        return self.level != self.target

    def is_settled(self, now_ms: int) -> bool:
        """True when the level has stood still for long enough to be measured."""
        return not self.is_fading and now_ms - self._till_ms >= SETTLE_MS

    def _fade(self, target: int, now_ms: int) -> None:
        way = abs(target - self.level)
        self._from = self.level
        self._from_ms = now_ms
        self._till_ms = now_ms + max(FADE_MS * way // FULL, self._soft_ms if target > self.level else 0)
        self._soft_ms = 0
        self.target = target
