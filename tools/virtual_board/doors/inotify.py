"""Who opens and closes a file: Linux inotify, because a pseudo terminal's master does not see a close that is followed
at once by an open."""

import ctypes
import os
import struct
from pathlib import Path

_NONBLOCK = 0o4000
_CLOEXEC = 0o2000000
_CLOSED = 0x08 | 0x10  # IN_CLOSE_WRITE, IN_CLOSE_NOWRITE
_OPENED = 0x20  # IN_OPEN
_EVENT = struct.Struct("iIII")
_READ = 4096


class OpenWatch:
    """Watches one file; `fileno` becomes readable when it was opened or closed."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = int(libc.inotify_init1(_NONBLOCK | _CLOEXEC))
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(path), _OPENED | _CLOSED) < 0:
            raise OSError(ctypes.get_errno(), f"cannot watch {path}")

    def fileno(self) -> int:
        """For the event loop."""
        return self._fd

    def events(self) -> list[bool]:
        """What happened since the last call, in order: True = opened, False = closed. Equal neighbours may be one."""
        try:
            data = os.read(self._fd, _READ)
        except BlockingIOError:
            return []
        found = []
        at = 0
        while at < len(data):
            _, mask, _, name = _EVENT.unpack_from(data, at)
            at += _EVENT.size + name
            if mask & (_OPENED | _CLOSED):
                found.append(bool(mask & _OPENED))
        return found

    def close(self) -> None:
        """End the watch."""
        os.close(self._fd)
