"""SLIP framing (RFC 1055) as the ESP loaders use it: every frame begins and ends with END."""

_END = b"\xc0"
_ESC = b"\xdb"
_UNESCAPE = {0xDC: 0xC0, 0xDD: 0xDB}


def encode(payload: bytes) -> bytes:
    """One frame on the wire."""
    return _END + payload.replace(_ESC, b"\xdb\xdd").replace(_END, b"\xdb\xdc") + _END


class Decoder:
    """Takes the stream in pieces of any size, gives whole frames; a frame holds 1 to `limit` bytes.

    What is outside of frames, escaped wrongly or too long is dropped, as the ROM drops it; the END after it may be
    the beginning of the next frame.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._raw: bytearray | None = None  # of the frame so far, still escaped; None outside of a frame

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes, in order."""
        frames = []
        first, *rest = data.split(_END)
        self._extend(first)
        for piece in rest:  # an END before each of these
            frame = _unescape(bytes(self._raw), self._limit) if self._raw else None
            if frame is None:
                self._raw = bytearray()
            else:
                frames.append(frame)
                self._raw = None
            self._extend(piece)
        return frames

    def _extend(self, piece: bytes) -> None:
        if self._raw is not None:
            self._raw += piece[: 2 * self._limit + 1 - len(self._raw)]


def _unescape(raw: bytes, limit: int) -> bytes | None:
    """The payload; None when an escape is wrong or the payload is longer than `limit`."""
    head, *rest = raw.split(_ESC)
    payload = bytearray(head)
    for piece in rest:
        if not piece or piece[0] not in _UNESCAPE:
            return None
        payload.append(_UNESCAPE[piece[0]])
        payload += piece[1:]
    return bytes(payload) if len(payload) <= limit else None
