"""The faults of the switchboard are the faults of networks."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from node.core import dns, sntp
from tools.switchboard import Link, NameServer, TimeServer, WorldClock


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()
    writer.close()


def with_link(check: Callable[[Link], Awaitable[None]]) -> None:
    """Run `check` with a link to an echo server."""

    async def main() -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            link = Link(("127.0.0.1", 0), server.sockets[0].getsockname())
            await link.start()
            await check(link)
            await link.close()

    asyncio.run(asyncio.wait_for(main(), 20))


async def ask(link: Link, data: bytes = b"hello") -> bytes:
    reader, writer = await asyncio.open_connection(*link.address)
    try:
        writer.write(data)
        return await reader.readexactly(len(data))
    finally:
        writer.close()


def test_what_goes_in_comes_out() -> None:
    async def check(link: Link) -> None:
        assert await ask(link) == b"hello"
        assert (link.connections, link.forwarded) == (1, 10)

    with_link(check)


def test_a_cut_link_is_silent_and_a_healed_one_works_again() -> None:
    async def check(link: Link) -> None:
        link.cut()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ask(link), 0.1)
        await link.heal()
        assert await ask(link) == b"hello"

    with_link(check)


def test_a_connection_that_was_cut_is_reset_when_the_link_heals() -> None:
    async def check(link: Link) -> None:
        reader, writer = await asyncio.open_connection(*link.address)
        writer.write(b"x")
        await reader.readexactly(1)
        link.cut()
        writer.write(b"y")
        await link.heal()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()

    with_link(check)


def test_refused_means_refused() -> None:
    async def check(link: Link) -> None:
        await link.refuse()
        with pytest.raises(ConnectionRefusedError):
            await ask(link)
        await link.heal()
        assert await ask(link) == b"hello"

    with_link(check)


def test_a_slow_link_is_slow_in_both_ways() -> None:
    async def check(link: Link) -> None:
        loop = asyncio.get_running_loop()
        link.delay_s = 0.05
        before = loop.time()
        await ask(link)
        assert loop.time() - before >= 0.1
        await link.heal()
        link.bytes_per_s = 20000
        before = loop.time()
        await ask(link, bytes(1000))
        assert loop.time() - before >= 0.1

    with_link(check)


def test_a_link_moves_to_another_address() -> None:
    async def check(link: Link) -> None:
        port = link.address[1]
        await link.move("127.0.0.2")
        assert link.address == ("127.0.0.2", port)
        assert await ask(link) == b"hello"

    with_link(check)


def test_the_name_server_answers_as_the_node_reads_it_and_changes_its_mind() -> None:
    server = NameServer({"broker.test": ["127.0.0.1", "127.0.0.9"]})
    found = dns.answer(server.answer(dns.query("Broker.test", 7)) or b"", "broker.test", 7)
    assert found == ["127.0.0.1", "127.0.0.9"]
    server.names["broker.test"] = ["127.0.0.2"]
    assert dns.answer(server.answer(dns.query("broker.test", 8)) or b"", "broker.test", 8) == ["127.0.0.2"]
    with pytest.raises(dns.DnsError, match="does not exist"):
        dns.answer(server.answer(dns.query("other.test", 9)) or b"", "other.test", 9)


@pytest.mark.parametrize("size", range(30))
def test_what_is_not_a_question_is_not_answered(size: int) -> None:
    assert NameServer({}).answer(dns.query("broker.test", 7)[: size - 1 if size else 0]) is None


def test_the_time_server_tells_the_time_of_the_world() -> None:
    now = [100.0]
    clock = WorldClock(1767225600, 60, lambda: now[0])
    now[0] += 10
    answer = sntp.answer(TimeServer(clock).answer(sntp.request(b"cookie!!")), b"cookie!!", 5000, 5010, 1767225600)
    assert answer.utc_ms - 1767226200000 in (4, 5, 6)


def test_the_world_leaps_and_changes_its_rate_without_going_back() -> None:
    now = [0.0]
    clock = WorldClock(1000, 60, lambda: now[0])
    now[0] = 1.0
    clock.leap(86400)
    assert clock.utc_s() == 1000 + 60 + 86400
    clock.set_rate(1)
    now[0] = 2.0
    assert clock.utc_s() == 1000 + 60 + 86400 + 1
