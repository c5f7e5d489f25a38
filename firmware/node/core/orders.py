"""The commands that every node knows, whatever its product."""

from node.core.commands import CommandError
from protocol.messages import E_ARGUMENT, E_HARDWARE
from protocol.settings import SETTINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.core.clock import Clock
    from node.core.commands import Handler
    from node.core.config import Config
    from node.core.log import Lines

_MAX_DELAY_S = 60
_MAX_LEVEL_S = 86400


def number(args: "dict[str, Any]", name: str, low: int, high: int, default: "int | None" = None) -> int:
    """The argument `name`, low..high, required when it has no default; raises CommandError(E_ARGUMENT)."""
    value = args.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise CommandError(E_ARGUMENT, "{} must be a whole number from {} to {}".format(name, low, high))
    return value


class Orders:
    """`table` maps a name to its handler. `restart(reason, wait_ms)` and `report()` act on the node."""

    def __init__(
        self,
        clock: "Clock",
        config: "Config",
        lines: "Lines",
        restart: "Callable[[str, int], None]",
        report: "Callable[[], None]",
    ) -> None:
        self._clock = clock
        self._config = config
        self._lines = lines
        self._restart = restart
        self._report = report
        self.table: "dict[str, Handler]" = {
            "ping": self._ping,
            "identify": self._identify,
            "reboot": self._reboot,
            "read_config": self._read_config,
            "heartbeat": self._heartbeat,
            "log_level": self._log_level,
        }

    def _ping(self, args: "dict[str, Any]") -> "dict[str, Any]":
        """{} -> {up_s}."""
        return {"up_s": self._clock.uptime_s()}

    def _identify(self, args: "dict[str, Any]") -> "dict[str, Any]":
        """Show which node this is. A product with something to show it with puts its own in the table."""
        raise CommandError(E_HARDWARE, "this node has nothing to show itself with")

    def _reboot(self, args: "dict[str, Any]") -> None:
        """{delay_s: 0..60 = 2} -> done, from the boot after it."""
        self._restart("command reboot", number(args, "delay_s", 0, _MAX_DELAY_S, 2) * 1000)

    def _read_config(self, args: "dict[str, Any]") -> "dict[str, Any]":
        """{} -> every setting and its value in force."""
        return {row[1]: self._config.get(row[1]) for row in SETTINGS}

    def _heartbeat(self, args: "dict[str, Any]") -> "dict[str, Any]":
        """{} -> {}; the state follows."""
        self._report()
        return {}

    def _log_level(self, args: "dict[str, Any]") -> "dict[str, Any]":
        """{level: 3..7, seconds: 1..86400 = 3600} -> {}; then the setting holds again."""
        level = number(args, "level", 3, 7)
        self._lines.override(level, number(args, "seconds", 1, _MAX_LEVEL_S, 3600))
        return {}
