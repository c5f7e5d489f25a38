"""What a board does when it starts, by what lies in its flash; and what its console answers."""

import asyncio
import gc
import io
import os
import sys
import time

import main

from firmware.tests.fakes import ENOSPC, Files
from node import start
from node.core.slots import MANIFEST, digest
from node.tasks import console
from protocol import manifest
from protocol.claim import Ticket
from protocol.console import parse
from protocol.identity import PATH, TICKET_PATH, Identity

IDENTITY = Identity(node="abc", kind="air", board="host", boot0=5, ca=b"-", cert=b"-", key=b"-", brokers=["h:1"])
TICKET = Ticket(urls=["https://h/"], ca=b"-", batch="b", until=9, secret=bytes(32), kind="light", board="host")
SLOT = {"node/app.mpy": b"app"}


class Board:
    """A board that only says for whom it was made."""

    def __init__(self, document):
        self.document = document
        self.resets = 0

    @staticmethod
    def unique_id():
        return b"\x24\x0a\xc4\x00\x00\x01"

    def reset(self):
        self.resets += 1


class Maker:
    """In the place of the class of the board."""

    unique_id = staticmethod(Board.unique_id)

    def __init__(self, scene):
        self.scene = scene

    def __call__(self, document):
        self.scene.board = Board(document)
        return self.scene.board


class Scene:
    """One start of a board with some files."""

    def __init__(self, **files):
        self.files = Files()
        names = {"identity": PATH, "ticket": TICKET_PATH, "manifest": "/a/" + MANIFEST}
        for name, data in files.items():
            self.files.write_atomic(names[name], data)
        self.lines = []
        self.did = []
        self.fault = None

    def run(self):
        before = start._node, start._claim
        start._node, start._claim = self._work("node"), self._work("claiming")
        try:
            start.run(Maker(self), self.files, "a", None, self.lines.append)
        finally:
            start._node, start._claim = before
        return self.did or [report["state"] for report in self.reports()]

    def _work(self, name):
        def work(*_):
            self.did.append(name)
            if self.fault:
                raise self.fault

        return work

    def reports(self):
        return [found for found in [parse(line) for line in self.lines] if found]


STARTS = {
    "an identity": (dict(identity=IDENTITY.encode()), "node"),
    "a ticket": (dict(ticket=TICKET.encode()), "claiming"),
    "both: a power cut came before the end of the ticket": (
        dict(identity=IDENTITY.encode(), ticket=TICKET.encode()),
        "node",
    ),
    "neither": ({}, "unprovisioned"),
    "an identity that is damaged": (dict(identity=b"\xff"), "damaged"),
    "an identity that is damaged, and a ticket": (dict(identity=b"\xff", ticket=TICKET.encode()), "damaged"),
    "a ticket that is damaged": (dict(ticket=b"\xff"), "damaged"),
}


def test_a_board_does_what_its_flash_is_for():
    for what, (files, does) in STARTS.items():
        scene = Scene(**files)
        assert scene.run() == [does], what
        if does in ("node", "claiming"):
            assert scene.board.resets == 1, what  # whatever ends its work, it restarts
            assert isinstance(scene.board.document, Identity if does == "node" else Ticket), what


def test_a_fault_restarts_the_board_and_leaves_a_note():
    scene = Scene(identity=IDENTITY.encode())
    scene.fault = ValueError("a fault")
    scene.run()
    assert scene.board.resets == 1
    assert scene.files.read(start.CRASH) == b"ValueError: a fault"
    scene.fault = ValueError("x" * 200)
    scene.run()
    assert scene.files.read(start.CRASH) == b"ValueError: " + b"x" * 84


def test_a_flash_that_refuses_the_note_keeps_no_board_from_its_restart():
    scene = Scene(identity=IDENTITY.encode())
    scene.fault = ValueError("a fault")
    scene.files.fail = ENOSPC
    scene.run()
    assert scene.board.resets == 1


def test_a_board_without_an_identity_says_what_it_is():
    document = manifest.build("1", SLOT).encode()
    scene = Scene(manifest=document)
    scene.run()
    report = scene.reports()[0]
    assert (report["mac"], report["slot"], report["node"]) == ("240ac4000001", "a", "")
    assert report["manifest"] == manifest.digest(document).hex()
    assert "provision" in scene.lines[0]


def test_the_digest_of_a_slot_is_that_of_its_manifest():
    files = Files()
    assert digest(files, "a") == b""
    assert MANIFEST == manifest.PATH
    document = manifest.build("1", {"{:03}".format(number): b"" for number in range(99)}).encode()
    assert len(document) > 2048
    files.write_atomic("/a/" + MANIFEST, document)
    assert digest(files, "a") == manifest.digest(document)
    assert digest(files, "b") == b""


class Esp32:
    """In the place of a module that only a board can import."""

    Board = Board


def test_stage_0_starts_the_program_of_the_slot():
    sys.modules["node.board.esp32"] = Esp32
    before = gc.threshold(), sys.path[0]
    root = folder()
    try:
        main.main(root)  # this computer has no identity: a line, and back to the prompt
        assert not os.listdir(root)
        del sys.modules["node.board.esp32"]
        main.main(root)  # a program that cannot be imported is told, and does not end the interpreter
        with open(root + start.CRASH, "rb") as file:
            assert file.read(12) == b"ImportError:"
        os.remove(root + start.CRASH)
        os.rmdir(root)
        main.main(root)  # so is one that cannot even leave a note
    finally:
        gc.threshold(before[0])
        sys.modules.pop("node.board.esp32", None)


def folder():
    """A new folder."""
    path = "/tmp/run_start_{}".format(time.ticks_us())
    os.mkdir(path)
    return path


class Typed(io.IOBase):
    """A console on which somebody has typed `text`, and then left."""

    def __init__(self, text):
        self.text = text

    def ioctl(self, request, argument):
        return argument  # whatever is waited for is there

    def read(self, count):
        piece, self.text = self.text[:count], self.text[count:]
        return piece


def test_a_question_mark_is_answered_and_nothing_else():
    typed = {
        b"?\n": 1,
        b"?\r\n": 1,
        b"\r\n?\r\n": 1,
        b"??\n": 0,
        b" ?\n": 0,
        b"x?\n?\n": 1,
        b"?" * 999 + b"\n?\r?\n": 2,
        b"\xff\xfe\x00\n?\n": 1,
        b"?": 0,
    }
    for text, times in typed.items():
        assert answers_to(text) == times, text


def answers_to(text):
    answers = []
    asyncio.run(console.run(Typed(text), lambda: answers.append(1)))
    return len(answers)
