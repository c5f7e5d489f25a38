"""A board claims its identity: what it sends, what it does with each answer, and what a bad day does to it."""

import asyncio
import io
import time

from firmware.tests.fakes import EIO, Files
from node.tasks.claim import ClaimError, Claiming, body_of, split
from protocol import claim
from protocol.claim import Answer, Claim, Request, Ticket
from protocol.identity import PATH, TICKET_PATH, Identity
from protocol.tests.expect import raises
from tools.sim import clock as clocks
from tools.sim.board import HostBoard, HostNetwork

MAC = b"\x24\x0a\xc4\x00\x00\x01"
SECRET = bytes(range(32))
URLS = ["https://first/", "https://second/"]
TICKET = Ticket(
    urls=URLS, ca=b"-", batch="b", until=9, secret=SECRET, kind="light", board="host", wifi_ssid="net", wifi_psk="hush"
)
IDENTITY = Identity(node="abc", kind="light", board="host", boot0=5, ca=b"-", cert=b"-", key=b"-", brokers=["h:1"])
ISSUED = Answer(status=claim.ISSUED, identity=IDENTITY.encode())


class Server:
    """In the place of HTTPS: gives the answers one after the other, and keeps what was asked."""

    def __init__(self, clock, *answers):
        self.answers = list(answers)
        self.claims = []
        self.urls = []
        self.asked_ms = []
        self._clock = clock

    async def post(self, url, body):
        request = Request.decode(body)
        assert request.proof == claim.prove(SECRET, request.claim)
        self.claims.append(Claim.decode(request.claim))
        self.urls.append(url)
        self.asked_ms.append(self._clock.elapsed_ms)
        answer = self.answers.pop(0)
        if answer is None:
            await asyncio.sleep(3600)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else answer.encode()


class Scene:
    """A board with a ticket and a server with those answers; `run` returns when the claim is over."""

    def __init__(self, *answers, present=True):
        self.files = Files()
        self.files.write_atomic(TICKET_PATH, TICKET.encode())
        self.answers = answers
        self.lines = []
        self.network = HostNetwork()
        self.network.present = present
        self.distrusted = 0

    def run(self, during=None):
        core = asyncio.core
        before = core.ticks, core.IOQueue
        try:
            clock = clocks.VirtualClock(time.ticks_ms)
            clocks.install(clock)
            clock.leap(1 << 40, lambda: None)
            ticks = (clock.ticks_ms, clocks.ticks_diff)
            self.board = HostBoard("host", ticks, None, self.network, io.BytesIO(256), serial=MAC)
            self.server = Server(clock, *self.answers)
            self.claiming = Claiming(self.board, self.files, TICKET, lambda _, tag, text: self.lines.append(text))
            self.claiming._post = self.server.post
            self.network.distrust = self._distrust
            asyncio.run(self._run(during))
            self.barked = self.board.dog.barks()
        finally:
            core.ticks, core.IOQueue = before
            core.new_event_loop()
        return self

    async def _run(self, during):
        task = asyncio.create_task(self.claiming.run())
        while not task.done():
            self.board.check_watchdog()
            if during:
                during(self)
            await asyncio.sleep(10)
        await task

    def _distrust(self):
        self.distrusted += 1

    def waits(self):
        """Milliseconds between two questions."""
        asked = self.server.asked_ms
        return [asked[at + 1] - asked[at] for at in range(len(asked) - 1)]

    def identity(self):
        data = self.files.read(PATH)
        return None if data is None else Identity.decode(data)


def test_a_board_is_challenged_waits_and_gets_its_identity():
    pending = Answer(status=claim.PENDING, nonce=b"second", retry_s=60)
    scene = Scene(Answer(status=claim.CHALLENGE, nonce=b"first"), pending, pending, ISSUED).run()
    assert [found.nonce for found in scene.server.claims] == [b"", b"first", b"second", b"second"]
    first = scene.server.claims[0]
    assert (first.mac, first.batch, first.until, first.kind, first.board) == (MAC, "b", 9, "light", "host")
    waits = scene.waits()
    assert waits[0] < 1000
    assert all(60000 <= wait <= 76000 for wait in waits[1:]), waits
    found = scene.identity()
    assert (found.node, found.wifi_ssid, found.wifi_psk) == ("abc", "net", "hush")
    assert scene.files.read(TICKET_PATH) is None
    assert not any("hush" in line for line in scene.lines)


BAD_DAYS = {
    "no connection": OSError(111, "ECONNREFUSED"),
    "a certificate that is not the server's": ValueError("certificate"),
    "an answer that is no message": b"\xff",
    "an answer that is empty": b"",
    "a server that never answers": None,
    "a name without an address": ClaimError("x"),
    "no memory": MemoryError(),
    "an identity for another board": Answer(
        status=claim.ISSUED,
        identity=Identity(
            node="abc", kind="air", board="host", boot0=5, ca=b"-", cert=b"-", key=b"-", brokers=["h:1"]
        ).encode(),
    ),
    "an identity that is none": Answer(status=claim.ISSUED, identity=b"\xa0"),
}


def test_a_bad_day_is_told_and_tried_again_at_the_next_server():
    for what, answer in BAD_DAYS.items():
        scene = Scene(answer, ISSUED).run()
        assert scene.lines, what
        assert scene.server.urls == URLS, what
        assert 1000 <= scene.server.asked_ms[1] - scene.server.asked_ms[0] <= 331000, what
        assert scene.identity().node == "abc", what


def test_a_server_that_challenges_for_ever_is_not_asked_for_ever():
    scene = Scene(*[Answer(status=claim.CHALLENGE, nonce=b"n")] * 10, ISSUED).run()
    assert scene.server.asked_ms[-1] > 5000
    assert scene.claiming._failures == 0


def test_a_refusal_is_told_and_asked_again_later():
    scene = Scene(Answer(status=claim.REFUSED, reason="not ours", retry_s=300), ISSUED).run()
    assert "refused: not ours" in scene.lines
    assert scene.server.asked_ms[1] - scene.server.asked_ms[0] >= 300000


def test_the_waits_of_many_failures_stay_within_five_minutes_and_the_network_joins_anew():
    scene = Scene(*[OSError(111)] * 12, ISSUED).run()
    assert all(wait <= 301000 for wait in scene.waits())
    assert scene.distrusted == 2
    assert not scene.barked


def test_without_a_network_nothing_is_asked_and_the_board_lives():
    count = []

    def look(scene):
        count.append(1)
        if len(count) == 60:
            scene.network.present = True

    scene = Scene(ISSUED, present=False).run(look)
    assert scene.server.asked_ms[0] >= 590000
    assert "no network" in scene.lines


def test_a_flash_that_refuses_the_identity_keeps_the_ticket():
    class Refusing(Files):
        refused = False

        def write_atomic(self, path, data):
            if path == PATH and not self.refused:
                self.refused = True
                raise OSError(EIO)
            super().write_atomic(path, data)

    scene = Scene(ISSUED, ISSUED)
    data = scene.files.data
    scene.files = Refusing()
    scene.files.data.update(data)
    scene.run()
    assert len(scene.server.claims) == 2
    assert scene.identity().node == "abc"


def test_a_flash_that_does_not_keep_the_identity_is_found_out():
    class Forgetful(Files):
        def write_atomic(self, path, data):
            super().write_atomic(path, data[:-1] if path == PATH and self.writes == 1 else data)

    scene = Scene(ISSUED, ISSUED)
    data = scene.files.data
    scene.files = Forgetful()
    scene.files.data.update(data)
    scene.files.writes = 1
    scene.run()
    assert "the flash did not keep the identity" in scene.lines
    assert scene.identity().node == "abc"


URL_PARTS = {
    "https://claim.example/api/v1/claim": ("claim.example", 443, "/api/v1/claim"),
    "https://10.0.0.2:8443": ("10.0.0.2", 8443, "/"),
    "https://h:1/?a=b": ("h", 1, "/?a=b"),
    "http://h/": None,
    "h": None,
    "https://": None,
    "https://h:x/": None,
}

RESPONSES = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody": b"body",
    b"HTTP/1.1 200 OK\r\nA: b\r\ncontent-length:4\r\n\r\nbody and more": b"body",
    b"HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n": b"",
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbod": None,
    b"HTTP/1.1 200 OK\r\nContent-Le": None,
    b"": None,
    b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody": ClaimError,
    b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nbody": ValueError,
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbody": ClaimError,
    b"SSH-2.0\r\n\r\n": ClaimError,
    b"HTTP/1.1 2\r\n\r\n": ClaimError,
}


def test_urls_and_responses_are_read_or_refused():
    for url, parts in URL_PARTS.items():
        if parts is None:
            raises(ClaimError, split, url)
        else:
            assert split(url) == parts
    for response, body in RESPONSES.items():
        if body is ClaimError or body is ValueError:
            raises(body, body_of, response)
        else:
            assert body_of(response) == body, response
