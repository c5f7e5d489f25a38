"""The door that every tool knows: a pseudo terminal behind a symbolic link.

A pseudo terminal has no DTR and RTS. What can be seen instead is that the last opener goes away.
"""

import asyncio
import os
import select
import termios
import tty
from pathlib import Path

from tools.virtual_board.doors.door import USUAL_BAUD, Host
from tools.virtual_board.doors.inotify import OpenWatch

_READ = 1 << 16
_WAITING_MAX = 1 << 20  # bytes for an opener that does not read; what is more is lost, as behind a USB bridge
_SETTLE_S = 0.002  # between the notice of a close and the close itself
_BAUDS = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit()}


class PtyDoor:
    """`url` is the path of the link: give that to tools, never what it points to."""

    lines = False

    def __init__(self, host: Host, link: Path) -> None:
        self.url = str(link)
        self._host = host
        self._link = link
        self._waiting = bytearray()
        self._openers = 0
        self._attached = False
        self._paused = False

    @property
    def baud(self) -> int:
        """What the opener has set."""
        return _BAUDS.get(termios.tcgetattr(self._master)[5], USUAL_BAUD)

    async def start(self) -> None:
        """Make the terminal and the link; a link that a killed board has left is replaced."""
        self._loop = asyncio.get_running_loop()
        self._master, slave = os.openpty()
        tty.setraw(slave)
        path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self._watch = OpenWatch(Path(path))
        self._loop.add_reader(self._watch, self._look)
        new = self._link.with_name(self._link.name + ".new")
        new.unlink(missing_ok=True)
        new.symlink_to(path)
        new.replace(self._link)

    def write(self, data: bytes) -> None:
        """To the opener."""
        if self._attached:
            self._waiting += data[: _WAITING_MAX - len(self._waiting)]
            self._flush()

    def _flush(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: os.write(self._master, self._waiting)]
            self._loop.remove_writer(self._master)
        except BlockingIOError:
            self._loop.add_writer(self._master, self._flush)
        except OSError:  # closed this moment
            self._waiting.clear()

    def pause(self) -> None:
        """Leave what comes where it is: the opener's writes block when 4 KiB wait."""
        self._paused = True
        self._loop.remove_reader(self._master)

    def resume(self) -> None:
        """Go on reading."""
        self._paused = False
        if self._attached:
            self._loop.add_reader(self._master, self._readable)

    def close(self) -> None:
        """Remove the link and the terminal; an opener reads the end of file."""
        for stop in (self._loop.remove_reader, self._loop.remove_writer):
            stop(self._master)
        self._loop.remove_reader(self._watch)
        self._watch.close()
        self._link.unlink(missing_ok=True)
        os.close(self._master)

    # -- who has it open

    def _look(self) -> None:
        for opened in self._watch.events():
            if opened:
                if self._openers == 0:
                    self._detach()  # closed and opened again before anybody looked
                self._openers += 1
                self._attach()
            else:
                self._openers = max(0, self._openers - 1)
                if self._openers == 0:
                    self._loop.call_later(_SETTLE_S, self._confirm)

    def _confirm(self) -> None:
        """Whether nobody is left; opens that came together may have been counted as one."""
        self._look()  # whoever has opened it since then is not one of those
        if self._openers or not self._attached:
            return
        if self._hangs():
            self._take()
            self._detach()
        else:
            self._openers = 1

    def _hangs(self) -> bool:
        poll = select.poll()
        poll.register(self._master, 0)
        return any(mask & select.POLLHUP for _, mask in poll.poll(0))

    def _attach(self) -> None:
        self._attached = True
        if not self._paused:
            self._loop.add_reader(self._master, self._readable)

    def _detach(self) -> None:
        if self._attached:
            self._attached = False
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            self._waiting.clear()
            self._host.hung_up(self)

    # -- bytes

    def _readable(self) -> None:
        self._look()  # what an earlier opener has done comes first
        if self._attached and not self._paused and not self._take():
            self._openers = 0
            self._detach()

    def _take(self) -> bool:
        """Hand on what is there; False when nobody has the other end open."""
        while True:
            try:
                data = os.read(self._master, _READ)
            except BlockingIOError:
                return True
            except OSError:
                return False
            self._host.received(self, data)
            if self._paused:
                return True
