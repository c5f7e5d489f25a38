"""A message is a table: FIELDS rows <-> a CBOR map with integer keys (SPEC 4).

Each row is (key, name, kind, low, high). `kind` is int, bool, str, bytes, dict, a Message class, or a one-element
list of int, str, bytes or a Message class. low..high bounds the value of an int, and the length of str (in UTF-8),
bytes, dict and list.
The default of a field is the class attribute of its name; a field without one is required.
Defaults are not sent, unknown keys are ignored, so both ends may be of different age.
"""

from protocol import cbor
from protocol.errors import DecodeError, EncodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform

    M = TypeVar("M", bound="Message")
    Row = tuple[int, str, Any, int, int]
else:

    def dataclass_transform(**_):
        """What `typing.dataclass_transform` is at run time: nothing."""
        return lambda cls: cls


_MISSING = "missing"
_TYPE = "of the wrong type"
_RANGE = "out of range"


@dataclass_transform(kw_only_default=True)
class Message:
    """Base of every message class; build with keyword arguments, read as attributes."""

    FIELDS: "tuple[Row, ...]" = ()
    MAX_SIZE = cbor.MAX_SIZE  # bytes
    MAX_ITEMS = cbor.MAX_ITEMS

    def __init__(self, **values: "Any") -> None:
        for row in self.FIELDS:
            name = row[1]
            if name in values:
                setattr(self, name, values.pop(name))
            elif not hasattr(self, name):
                raise EncodeError(self._text(name, _MISSING))
        for name in values:
            raise EncodeError(self._text(name, "unknown"))

    @classmethod
    def _text(cls, name: str, fault: str) -> str:
        return "{}.{} {}".format(cls.__name__, name, fault)

    def __repr__(self) -> str:
        values = ", ".join("{}={!r}".format(row[1], getattr(self, row[1])) for row in self.FIELDS)
        return "{}({})".format(self.__class__.__name__, values)

    def __eq__(self, other: object) -> bool:
        return self.__class__ is other.__class__ and self.to_map() == other.to_map()

    def to_map(self) -> "dict[int, Any]":
        """The message as a map of keys to CBOR values; raises EncodeError when a value breaks its row."""
        result = {}
        cls = self.__class__
        for key, name, kind, low, high in self.FIELDS:
            value = getattr(self, name)
            if hasattr(cls, name) and value == getattr(cls, name):
                continue
            fault = _fault(value, kind, low, high)
            if fault:
                raise EncodeError(self._text(name, fault))
            result[key] = _lower(value, kind)
        return result

    def encode(self) -> bytes:
        """The bytes of the message; raises EncodeError when a value breaks its row or the whole is too long."""
        return cbor.encode(self.to_map(), self.MAX_SIZE)

    @classmethod
    def decode(cls: "type[M]", data: "cbor.Source") -> "M":
        """The message in `data`; raises DecodeError, and nothing else, for anything that is not one."""
        return cls.from_map(cbor.decode(data, cls.MAX_SIZE, cls.MAX_ITEMS))

    @classmethod
    def from_map(cls: "type[M]", found: "Any") -> "M":
        """The message in a decoded map; raises DecodeError."""
        if type(found) is not dict:
            raise DecodeError("{} is not a map".format(cls.__name__))
        values = {}
        for key, name, kind, low, high in cls.FIELDS:
            if key not in found:
                if not hasattr(cls, name):
                    raise DecodeError(cls._text(name, _MISSING))
                continue
            value = _raise(found[key], kind)
            fault = _fault(value, kind, low, high)
            if fault:
                raise DecodeError(cls._text(name, fault))
            values[name] = value
        return cls(**values)


def _is_message(kind: "Any") -> bool:
    return isinstance(kind, type) and issubclass(kind, Message)


def _fault(value: "Any", kind: "Any", low: int, high: int) -> "str | None":
    """What is wrong with `value`, or None."""
    if isinstance(kind, list):
        good = isinstance(value, (list, tuple)) and all(type(item) is kind[0] for item in value)
    else:
        good = type(value) is kind and (kind is not dict or cbor.is_plain(value))
    if not good:
        return _TYPE
    if kind is bool or _is_message(kind):
        return None
    size = value if kind is int else len(cbor.encode_text(value)) if kind is str else len(value)
    return None if low <= size <= high else _RANGE


def _lower(value: "Any", kind: "Any") -> "Any":
    """Message objects inside `value` as maps."""
    if isinstance(kind, list):
        return [_lower(item, kind[0]) for item in value]
    return value.to_map() if _is_message(kind) else value


def _raise(value: "Any", kind: "Any") -> "Any":
    """Maps inside `value` as Message objects; what does not fit is left for _fault to name."""
    if isinstance(kind, list):
        return [_raise(item, kind[0]) for item in value] if isinstance(value, list) else value
    return kind.from_map(value) if _is_message(kind) else value
