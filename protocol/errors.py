"""The errors of the contract.

ProtocolError
├── EncodeError   the sender built something the contract forbids: a bug here
└── DecodeError   the far end sent something the contract forbids: refuse it, count it, go on
"""


class ProtocolError(Exception):
    """Base of every error that `protocol` raises on purpose."""


class EncodeError(ProtocolError):
    """The value cannot be expressed in the contract (type, range, size or depth)."""


class DecodeError(ProtocolError):
    """The bytes are not a message of the contract. The text names the rule, never the content."""
