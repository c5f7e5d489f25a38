"""Records and events: the entries that a batch carries and the store keeps byte for byte (SPEC 5).

A record is `[seq, t, tq, {channel: sample, ...}]` or, when its interval is not 60 s, one element longer.
A sample is the mean as an integer (flag *pass*) or `[mean, flag]` or `[mean, flag, n, sd, min, max]`; the mean is
null when, and only when, the flag is *missing*. An event is `[seq, t, tq, code, phase]` or, with attributes, one
element longer.

`t` is the start of the interval (or the instant of the event): seconds since 1970 UTC, or seconds of uptime
while `tq` is 0. Identity is (node, boot, seq); records and events of one boot share one run of seq, without gaps.
"""

from protocol import cbor
from protocol.errors import DecodeError, EncodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INTERVAL_S = 60  # the interval that is not spelt out on the wire
MAX_INTERVAL_S = 86400
MAX_ENTRY = 512  # bytes of one encoded entry
MAX_CHANNELS = 32  # samples of one record
MAX_SEQ = 0xFFFFFFFF
MAX_TIME = 0xFFFFFFFF

# Time quality of an entry (SPEC 5.4)
TQ_UPTIME = 0  # t is uptime: the node did not know the time
TQ_BOUND = 1  # not before the last time the node had persisted
TQ_RTC = 2  # battery-backed clock
TQ_NTP_DAY = 3  # synchronised less than 24 h ago, or dated back from a later synchronisation of the same boot
TQ_NTP_HOUR = 4  # synchronised less than 1 h ago

# Quality flags (QARTOD, IOC 54:V3)
FLAG_PASS = 1
FLAG_NOT_EVALUATED = 2
FLAG_SUSPECT = 3
FLAG_FAIL = 4
FLAG_MISSING = 9
FLAGS = (FLAG_PASS, FLAG_NOT_EVALUATED, FLAG_SUSPECT, FLAG_FAIL, FLAG_MISSING)

# Phase of an event
PHASE_INSTANT = 0
PHASE_START = 1
PHASE_END = 2

_VALUE_MAX = 0x7FFFFFFFFFFF  # 48 bits: no channel needs more


class Sample:
    """What one channel measured in one interval, as scaled integers; statistics are None unless configured."""

    def __init__(
        self,
        mean: "int | None",
        flag: int = FLAG_PASS,
        n: "int | None" = None,
        sd: "int | None" = None,
        low: "int | None" = None,
        high: "int | None" = None,
    ) -> None:
        self.mean = mean
        self.flag = flag
        self.n = n
        self.sd = sd
        self.low = low
        self.high = high

    def to_cbor(self) -> "Any":
        """The shortest of the three forms that says it all."""
        if self.n is not None:
            return [self.mean, self.flag, self.n, self.sd, self.low, self.high]
        return self.mean if self.flag == FLAG_PASS else [self.mean, self.flag]

    def __repr__(self) -> str:
        return "Sample{!r}".format((self.mean, self.flag, self.n, self.sd, self.low, self.high))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sample) and self.to_cbor() == other.to_cbor()


class Record:
    """One interval of one node."""

    def __init__(self, seq: int, t: int, tq: int, samples: "dict[int, Sample]", interval: int = INTERVAL_S) -> None:
        self.seq = seq
        self.t = t
        self.tq = tq
        self.samples = samples
        self.interval = interval

    def encode(self) -> bytes:
        """The entry; raises EncodeError when it breaks a bound of SPEC 5."""
        values = {channel: sample.to_cbor() for channel, sample in self.samples.items()}
        entry: "list[Any]" = [self.seq, self.t, self.tq, values]
        if self.interval != INTERVAL_S:
            entry.append(self.interval)
        data = cbor.encode(entry, MAX_ENTRY)
        fault = _record_fault(entry)
        if fault:
            raise EncodeError(fault)
        return data

    @classmethod
    def decode(cls, data: "cbor.Source") -> "Record":
        """The record in `data`; raises DecodeError, and nothing else."""
        return cls.from_cbor(cbor.decode(data, MAX_ENTRY))

    @classmethod
    def from_cbor(cls, entry: "Any") -> "Record":
        """The record in a decoded entry; raises DecodeError."""
        fault = _record_fault(entry)
        if fault:
            raise DecodeError(fault)
        samples = {}
        for channel, value in entry[3].items():
            samples[channel] = Sample(*value) if isinstance(value, (list, tuple)) else Sample(value)
        return cls(entry[0], entry[1], entry[2], samples, entry[4] if len(entry) == 5 else INTERVAL_S)


class Event:
    """Something that happened: a code of `registry.EVENTS`, a phase, and attributes with integer keys."""

    def __init__(
        self, seq: int, t: int, tq: int, code: int, phase: int = PHASE_INSTANT, attrs: "dict[int, Any] | None" = None
    ) -> None:
        self.seq = seq
        self.t = t
        self.tq = tq
        self.code = code
        self.phase = phase
        self.attrs = attrs

    def encode(self) -> bytes:
        """The entry; raises EncodeError when it breaks a bound of SPEC 5."""
        entry: "list[Any]" = [self.seq, self.t, self.tq, self.code, self.phase]
        if self.attrs:
            entry.append(self.attrs)
        data = cbor.encode(entry, MAX_ENTRY)
        fault = _event_fault(entry)
        if fault:
            raise EncodeError(fault)
        return data

    @classmethod
    def decode(cls, data: "cbor.Source") -> "Event":
        """The event in `data`; raises DecodeError, and nothing else."""
        return cls.from_cbor(cbor.decode(data, MAX_ENTRY))

    @classmethod
    def from_cbor(cls, entry: "Any") -> "Event":
        """The event in a decoded entry; raises DecodeError."""
        fault = _event_fault(entry)
        if fault:
            raise DecodeError(fault)
        return cls(entry[0], entry[1], entry[2], entry[3], entry[4], entry[5] if len(entry) == 6 else None)


def _within(value: "Any", low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _header_fault(entry: "Any", low: int, high: int) -> "str | None":
    if not isinstance(entry, list) or not low <= len(entry) <= high:
        return "entry of the wrong shape"
    if not _within(entry[0], 0, MAX_SEQ):
        return "seq out of range"
    if not _within(entry[1], 0, MAX_TIME):
        return "t out of range"
    if not _within(entry[2], TQ_UPTIME, TQ_NTP_HOUR):
        return "tq out of range"
    return None


def _record_fault(entry: "Any") -> "str | None":
    fault = _header_fault(entry, 4, 5)
    if fault:
        return fault
    values = entry[3]
    if type(values) is not dict or len(values) > MAX_CHANNELS:
        return "samples of the wrong shape"
    for channel, value in values.items():
        if not _within(channel, 0, 0xFFFF) or not _is_sample(value):
            return "sample of the wrong shape"
    if len(entry) == 5 and not _within(entry[4], 1, MAX_INTERVAL_S):
        return "interval out of range"
    return None


def _is_sample(value: "Any") -> bool:
    if not isinstance(value, list):
        return _within(value, -_VALUE_MAX, _VALUE_MAX)
    if len(value) not in (2, 6) or type(value[1]) is not int or value[1] not in FLAGS:
        return False
    if (value[0] is None) != (value[1] == FLAG_MISSING) or not _is_optional(value[0], -_VALUE_MAX):
        return False
    if len(value) == 2:
        return True
    n, sd, low, high = value[2:]
    return (
        _within(n, 0, _VALUE_MAX)
        and _is_optional(sd, 0)
        and _is_optional(low, -_VALUE_MAX)
        and _is_optional(high, -_VALUE_MAX)
    )


def _is_optional(value: "Any", low: int) -> bool:
    return value is None or _within(value, low, _VALUE_MAX)


def _event_fault(entry: "Any") -> "str | None":
    fault = _header_fault(entry, 5, 6)
    if fault:
        return fault
    if not _within(entry[3], 1, 0xFFFF):
        return "event code out of range"
    if not _within(entry[4], PHASE_INSTANT, PHASE_END):
        return "event phase out of range"
    if len(entry) == 6 and not _is_attributes(entry[5]):
        return "event attributes of the wrong shape"
    return None


def _is_attributes(value: "Any") -> bool:
    return type(value) is dict and cbor.is_plain(value) and all(_within(key, 0, 0xFFFF) for key in value)
