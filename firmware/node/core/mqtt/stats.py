"""Counters of the link, and how long acknowledgements take."""

_RING = 32  # latest acknowledgements that the percentiles describe


class Stats:
    """Since boot. Times in ms; None until there is a measurement."""

    def __init__(self) -> None:
        self.connects = 0  # accepted by a broker
        self.resumed = 0  # connects that found their session
        self.last_reason = 0  # why the last connection or attempt ended, see protocol/reasons.py
        self.resends = 0
        self.acked = 0  # our messages of QoS 1
        self.entries = 0  # records and events in them
        self.strays = 0  # PUBACKs that nobody waited for
        self.received = 0
        self.oversize = 0  # received messages that were skipped
        self.unknown = 0  # received messages without a handler
        self.failures = 0  # handlers and callbacks that raised
        self.refused = 0  # subscriptions
        self.ping_ms: "int | None" = None
        self._ring = [0] * _RING
        self._count = 0

    def acknowledged(self, latency_ms: int, entries: int) -> None:
        """One PUBACK came, `latency_ms` after its message with that many entries was sent."""
        self.acked += 1
        self.entries += entries
        self._ring[self._count % _RING] = latency_ms
        self._count += 1

    @property
    def ack_p50_ms(self) -> "int | None":
        """Median of the latest acknowledgements."""
        return self._percentile(50)

    @property
    def ack_p95_ms(self) -> "int | None":
        """95th percentile (nearest rank) of the latest acknowledgements."""
        return self._percentile(95)

    def _percentile(self, percent: int) -> "int | None":
        count = min(self._count, _RING)
        if not count:
            return None
        return sorted(self._ring[:count])[(count * percent + 99) // 100 - 1]
