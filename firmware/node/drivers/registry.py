"""Which part has which driver: the one place to add a part to. A module is imported when its part is fitted."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# family -> part (the name of the module) -> class
PARTS = {
    "sensor": {"sen66": "Sen66", "bme280": "Bme280"},  # made with (bus, sleep_ms, address)
    "meter": {"cse7766": "Cse7766"},  # made with ()
    "lamp": {"pwm_lamp": "PwmLamp"},  # made with (pwm, level)
}


def driver(family: str, part: str) -> "Any":
    """The class of a part; raises KeyError with the parts that exist."""
    parts = PARTS[family]
    if part not in parts:
        raise KeyError("no {} {}: one of {}".format(family, part, ", ".join(sorted(parts))))
    name = parts[part]
    return getattr(__import__("node.drivers." + part, None, None, (name,)), name)
