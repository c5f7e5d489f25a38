"""The HTTPS edge of claims: bounded in size, time, number and rate, and silent about itself."""

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet import claims
from fleet.config import CLAIM_PATH, Config
from fleet.errors import UnreachableError
from fleet.model import Kind
from fleet.store import Store
from fleet.tests.claim_rig import Board, Log, Office, fleet_that_takes_claims
from fleet.tests.rig import wait_for
from fleet.web import claim as web
from fleet.web import server
from protocol import claim
from protocol.claim import Answer

HEADERS = {"Content-Type": claim.MEDIA_TYPE}


class Door:
    """The server on a fleet, and clients of it."""

    def __init__(self, directory: Path) -> None:
        self.office = Office(directory)
        self.config = self.office.config
        self.log = Log()

    @contextlib.contextmanager
    def open(self) -> Iterator[str]:
        with server.serving(self.config, self.office.store, self.log.logger) as word:
            yield word

    def client(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.config.claim.port, timeout=10, context=trust(self.config))

    def send(
        self, body: Any, method: str = "POST", path: str = CLAIM_PATH, headers: Any = HEADERS
    ) -> tuple[int, bytes]:
        client = self.client()
        client.request(method, path, body, headers)
        answer = client.getresponse()
        found = answer.status, answer.read()
        client.close()
        return found

    def raw(self) -> ssl.SSLSocket:
        made = socket.create_connection(("localhost", self.config.claim.port), 10)
        return trust(self.config).wrap_socket(made, server_hostname="localhost")

    def board(self) -> Board:
        wanted = claims.TicketRequest(bytes(6), "b7", Kind.AIR, "esp32_air")
        return Board(claims.ticket(self.config, wanted, int(time.time())), bytes(6))


def trust(config: Config) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(config.ca_dir / "ca.pem"))


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path / "fleet")
    with made.open():
        yield made
    made.office.store.close()


def test_a_board_is_answered_over_tls(door: Door) -> None:
    board = door.board()
    status, body = door.send(board.request())
    first = Answer.decode(body)
    assert (status, first.status) == (200, claim.CHALLENGE)
    board.nonce = first.nonce
    assert Answer.decode(door.send(board.request())[1]).status == claim.PENDING
    assert [node.standing for node in door.office.store.nodes.all()] == ["pending"]


def chunks(size: int) -> Iterator[bytes]:
    """A body whose length is not told before."""
    for _ in range(size // 64):
        yield bytes(64)


# sentence: (method, path, body, headers, status)
REFUSED: dict[str, tuple[str, str, Any, Any, int]] = {
    "another path": ("POST", "/", b"", HEADERS, 404),
    "another method": ("GET", CLAIM_PATH, None, {}, 405),
    "another media type": ("POST", CLAIM_PATH, b"{}", {"Content-Type": "application/json"}, 415),
    "no media type": ("POST", CLAIM_PATH, b"{}", {}, 415),
    "nothing": ("POST", CLAIM_PATH, b"", HEADERS, 400),
    "no CBOR": ("POST", CLAIM_PATH, b"\xff" * 9, HEADERS, 400),
    "CBOR that is no request": ("POST", CLAIM_PATH, b"\xa0", HEADERS, 400),
    "one byte too many": ("POST", CLAIM_PATH, bytes(641), HEADERS, 413),
    "a megabyte": ("POST", CLAIM_PATH, bytes(1 << 20), HEADERS, 413),
    "a megabyte of unknown length": ("POST", CLAIM_PATH, lambda: chunks(1 << 20), HEADERS, 413),
    "a head that does not end": ("POST", CLAIM_PATH + "?" + "x" * 8192, b"", HEADERS, 400),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused(door: Door, sentence: str) -> None:
    method, path, body, headers, status = REFUSED[sentence]
    try:
        found, text = door.send(body() if callable(body) else body, method, path, headers)
    except (ConnectionError, ssl.SSLError, http.client.RemoteDisconnected):
        found, text = status, b""  # it hung up while we were still sending
    assert found == status
    assert b"Traceback" not in text
    assert b"fleet" not in text
    assert len(text) < 200
    assert door.send(door.board().request())[0] == 200, "the next one is served"


def test_a_fault_of_ours_is_logged_and_not_told(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object, body: bytes) -> Answer:
        raise ValueError("a secret detail")

    monkeypatch.setattr(claims.Desk, "answer", fails)
    assert door.send(b"x") == (500, b"internal error")
    assert any("a secret detail" in line for line in door.log.lines)


def test_a_database_that_fails_is_a_reason_to_come_back(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object, body: bytes) -> Answer:
        raise UnreachableError("the database does not do what it should", cause="disk full")

    monkeypatch.setattr(claims.Desk, "answer", fails)
    assert door.send(b"x") == (503, b"try again later")
    assert any("disk full" in line for line in door.log.lines)


def test_a_slow_client_loses_its_place_and_costs_nobody_else_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTION_S", 1.0)
    monkeypatch.setattr(server, "HANDSHAKE_S", 1.0)
    door = Door(tmp_path / "fleet")
    with door.open():
        slow = [door.raw() for _ in range(20)]
        for number, client in enumerate(slow):
            client.sendall(
                b"POST " + CLAIM_PATH.encode() + b" HTTP/1.1\r\nContent-Length: 99\r\n" + b"\r\n" * (number % 2)
            )
        silent = [socket.create_connection(("localhost", door.config.claim.port), 10) for _ in range(20)]
        assert door.send(door.board().request())[0] == 200
        for client in [*slow, *silent]:
            wait_for(lambda client=client: is_over(client), "the end of a slow connection")  # type: ignore[misc]
            client.close()
    door.office.store.close()


def is_over(client: socket.socket) -> bool:
    """True when the server has hung up."""
    client.settimeout(0.05)
    try:
        return client.recv(512) == b""
    except (TimeoutError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def test_one_address_gets_a_bounded_number_of_places(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "FROM_ONE_ADDRESS", 5)
    clients = [socket.create_connection(("localhost", door.config.claim.port), 10) for _ in range(9)]
    wait_for(lambda: sum(is_over(client) for client in clients) == 4, "four that were refused before their handshake")
    for client in clients:
        client.close()
    wait_for(lambda: _is_served(door), "a free place")


def _is_served(door: Door) -> bool:
    try:
        return door.send(door.board().request())[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_requests_are_bounded_in_the_long_run_and_at_once() -> None:
    now = [0.0]
    bucket = web.Bucket(2.0, 3.0, lambda: now[0])
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
    now[0] = 1.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] = 100.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_too_many_requests_are_told_so(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.Bucket, "take", lambda _: False)
    assert door.send(door.board().request())[0] == 429


def test_nobody_is_answered_where_fleet_toml_says_nowhere(tmp_path: Path) -> None:
    config = fleet_that_takes_claims(tmp_path / "fleet", listen="")
    with Store.open(config.store_url) as store, server.serving(config, store, Log().logger) as word:
        assert word == ""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("localhost", config.claim.port), 1)


def test_a_port_that_is_taken_is_told(door: Door) -> None:
    with pytest.raises(UnreachableError, match="cannot listen") as caught, door.open():
        pass
    assert "claim.port" in caught.value.hint


def test_old_tls_is_refused(door: Door) -> None:
    old = trust(door.config)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1
    made = socket.create_connection(("localhost", door.config.claim.port), 10)
    with pytest.raises(OSError):
        old.wrap_socket(made, server_hostname="localhost")
    made.close()


def test_one_address_never_takes_everything_from_the_others() -> None:
    now = [0.0]
    shares = web.Shares(4.0, 8.0, lambda: now[0])
    assert [shares.take("a") for _ in range(6)] == [True] * 4 + [False] * 2
    assert [shares.take("b") for _ in range(4)] == [True] * 4
    now[0] = 1.0
    assert [shares.take("a") for _ in range(4)] == [True, True, False, False]
    assert shares.take("c")


def test_addresses_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "ADDRESSES", 3)
    shares = web.Shares(1e6, 1e6)
    for number in range(100):
        shares.take(str(number))
    assert list(shares._own) == ["97", "98", "99"]


HOUSES = {
    "192.0.2.7": "192.0.2.7",
    "2001:db8::1": "2001:db8::",
    "2001:db8::ffff:ffff:ffff:ffff": "2001:db8::",
    "2001:db8:0:1::1": "2001:db8:0:1::",
    "fe80::1%eth0": "fe80::",
    "": "",
}


@pytest.mark.parametrize(("address", "house"), HOUSES.items())
def test_a_host_with_many_addresses_is_one(address: str, house: str) -> None:
    assert web.house_of(address) == house
