"""The error of the MQTT client: whatever goes wrong is one class with a reason, and ends the connection."""

from protocol.reasons import TEXTS


class MqttError(Exception):
    """The connection cannot go on. `reason` is a number of protocol.reasons, the text says more."""

    def __init__(self, reason: int, detail: str = "") -> None:
        text = TEXTS.get(reason, "reason {}".format(reason))
        super().__init__("{}: {}".format(text, detail) if detail else text)
        self.reason = reason
