"""The pseudo terminal: bytes both ways, and who opens and closes it, however fast."""

import asyncio
import os
import termios
import tty

import pytest

from tools.virtual_board.doors import PtyDoor

PATIENCE_S = 5.0


class Host:
    """Writes down what a door tells."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def received(self, _, data: bytes) -> None:
        if self.events and isinstance(self.events[-1], bytes):
            data = self.events.pop() + data
        self.events.append(data)

    def hung_up(self, _) -> None:
        self.events.append("hung up")


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.001)


def bytes_of(host: Host) -> bytes:
    return b"".join(event for event in host.events if isinstance(event, bytes))


def opened(door: PtyDoor) -> int:
    fd = os.open(door.url, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    return fd


@pytest.fixture
def pty(tmp_path):
    """Runs a test of a door within an event loop."""

    def run(test) -> None:
        async def body() -> None:
            host = Host()
            door = PtyDoor(host, tmp_path / "port")
            await door.start()
            try:
                await test(door, host)
            finally:
                door.close()
            assert not os.path.lexists(door.url)

        asyncio.run(body())

    return run


def test_bytes_go_both_ways_unchanged(pty):
    async def test(door, host):
        every = bytes(range(256)) * 4
        fd = opened(door)
        await asyncio.sleep(0)
        os.write(fd, every)
        await until(lambda: host.events == [every])
        door.write(every)
        got = bytearray()
        async with asyncio.timeout(PATIENCE_S):
            while len(got) < len(every):
                await asyncio.sleep(0.001)
                try:
                    got += os.read(fd, 4096)
                except BlockingIOError:
                    continue
        assert got == every
        os.close(fd)
        await until(lambda: host.events[-1] == "hung up")

    pty(test)


def test_what_is_said_while_nobody_listens_is_lost(pty):
    async def test(door, host):
        door.write(b"nobody")
        fd = opened(door)
        os.write(fd, b"x")
        await until(lambda: host.events == [b"x"])
        door.write(b"somebody")
        await until(lambda: not door._waiting)
        assert os.read(fd, 100) == b"somebody"
        os.close(fd)

    pty(test)


def test_an_opener_that_does_not_read_costs_no_more_than_a_megabyte(pty):
    async def test(door, host):
        fd = opened(door)
        os.write(fd, b"x")
        await until(lambda: host.events)
        for _ in range(40):
            door.write(bytes(1 << 16))
        assert len(door._waiting) <= 1 << 20
        os.close(fd)
        await until(lambda: host.events[-1] == "hung up")
        assert not door._waiting

    pty(test)


def test_every_opener_that_leaves_is_noticed_even_when_the_next_comes_at_once(pty):
    async def test(door, host):
        for number in range(50):
            fd = opened(door)
            os.write(fd, b"%d" % number)
            if number % 2:
                await until(lambda number=number: bytes_of(host).endswith(b"%d" % number))
            os.close(fd)
            if number % 3 == 0:
                await until(lambda: host.events[-1:] == ["hung up"])
        await until(lambda: host.events[-1:] == ["hung up"])
        assert bytes_of(host) == b"".join(b"%d" % number for number in range(50))
        assert host.events.count("hung up") >= 25

    pty(test)


def test_what_the_last_opener_wrote_comes_before_its_leaving_and_what_the_next_wrote_after(pty):
    async def test(door, host):
        fd = opened(door)
        os.write(fd, b"old")
        await until(lambda: host.events == [b"old"])
        os.close(fd)
        fd = opened(door)
        os.write(fd, b"new")
        await until(lambda: b"new" in host.events)
        assert host.events == [b"old", "hung up", b"new"]
        os.close(fd)

    pty(test)


def test_while_one_of_two_has_it_open_nobody_has_left(pty):
    async def test(door, host):
        first, second = opened(door), opened(door)
        os.write(first, b"a")
        await until(lambda: host.events == [b"a"])
        os.close(first)
        await asyncio.sleep(0.02)
        os.write(second, b"b")
        await until(lambda: host.events == [b"ab"])
        os.close(second)
        await until(lambda: host.events == [b"ab", "hung up"])

    pty(test)


def test_the_rate_is_that_of_the_opener(pty):
    async def test(door, host):
        fd = opened(door)
        attributes = termios.tcgetattr(fd)
        attributes[4] = attributes[5] = termios.B460800
        termios.tcsetattr(fd, termios.TCSANOW, attributes)
        assert door.baud == 460800
        os.close(fd)

    pty(test)


def test_a_paused_door_leaves_everything_where_it_is(pty):
    async def test(door, host):
        fd = opened(door)
        door.pause()
        os.write(fd, b"later")
        await asyncio.sleep(0.02)
        assert host.events == []
        door.resume()
        await until(lambda: host.events == [b"later"])
        os.close(fd)

    pty(test)


def test_a_link_that_a_killed_board_has_left_is_replaced(tmp_path):
    (tmp_path / "port").symlink_to("/nowhere")

    async def body() -> None:
        door = PtyDoor(Host(), tmp_path / "port")
        await door.start()
        os.close(opened(door))
        door.close()

    asyncio.run(body())
