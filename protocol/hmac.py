"""HMAC-SHA256 (RFC 2104, FIPS 198-1) for both interpreters: MicroPython's hashlib has the hash alone."""

from hashlib import sha256

_BLOCK = 64  # bytes


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """The code of `message` under a key of at most 64 bytes. Compare it in constant time."""
    if len(key) > _BLOCK:
        raise ValueError("key longer than a block")
    key = key + bytes(_BLOCK - len(key))
    inner = sha256(bytes([byte ^ 0x36 for byte in key]))
    inner.update(message)
    outer = sha256(bytes([byte ^ 0x5C for byte in key]))
    outer.update(inner.digest())
    return outer.digest()
