"""DTR and RTS, as a circuit and over telnet; a line that is slow or loses bytes."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.virtual_board.doors.telnet import Telnet
from tools.virtual_board.lines import Circuit, Event
from tools.virtual_board.pace import Pace
from tools.virtual_board.trouble import Trouble

N, H, R, D = Event.NOTHING, Event.HOLD, Event.RUN, Event.DOWNLOAD
SEQUENCES = {  # sentence: ((DTR, RTS) one after the other, what each does)
    "esptool's classic reset into the loader": ([(0, 1), (1, 1), (1, 0), (0, 0)], [H, N, D, N]),
    "esptool's classic reset, both lines at once": ([(0, 1), (1, 0), (0, 0)], [H, D, N]),
    "esptool's hard reset": ([(0, 1), (0, 0)], [H, R]),
    "a terminal opens the port": ([(1, 0), (1, 1)], [N, N]),
    "a terminal opens the port, RTS first": ([(0, 1), (1, 1), (0, 0)], [H, N, R]),
    "a terminal closes the port": ([(1, 1), (1, 0), (0, 0)], [N, N, N]),
    "a line that is set again": ([(0, 1), (0, 1), (0, 0), (0, 0)], [H, N, R, N]),
}


@pytest.mark.parametrize("sentence", SEQUENCES)
def test_the_lines_drive_reset_and_strap(sentence):
    lines, wanted = SEQUENCES[sentence]
    circuit = Circuit()
    assert [circuit.set(bool(dtr), bool(rts)) for dtr, rts in lines] == wanted


class Talk:
    """A telnet connection that is written down."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.lines: list[tuple[bool, bool]] = []
        self.telnet = Telnet(self.sent.extend, lambda dtr, rts: self.lines.append((dtr, rts)))
        self.sent.clear()

    def set(self, command: int, value: bytes) -> bytes:
        """One RFC 2217 command; what is answered."""
        self.sent.clear()
        body = bytes([44, command]) + value.replace(b"\xff", b"\xff\xff")
        assert self.telnet.feed(b"\xff\xfa" + body + b"\xff\xf0") == b""
        return bytes(self.sent)


@given(st.binary(max_size=300), st.lists(st.integers(0, 600), max_size=6))
def test_data_arrives_whatever_its_bytes_and_pieces(data, cuts):
    wire = Telnet.escape(data)
    edges = sorted({0, len(wire), *(min(cut, len(wire)) for cut in cuts)})
    talk = Talk()
    got = b"".join(talk.telnet.feed(wire[a:b]) for a, b in itertools.pairwise(edges))
    assert got == data


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_noise_is_survived_or_refused_and_never_kept(noise):
    talk = Talk()
    for piece in noise:
        try:
            talk.telnet.feed(piece)
        except ValueError:
            return
        assert len(talk.telnet._rest) <= 64


def test_a_command_without_an_end_is_refused():
    with pytest.raises(ValueError, match="without an end"):
        Talk().telnet.feed(b"\xff\xfa" + bytes(100))


def test_lines_are_set_and_confirmed():
    talk = Talk()
    for value in (11, 8, 12, 9):  # RTS on, DTR on, RTS off, DTR off
        assert talk.set(5, bytes([value])) == b"\xff\xfa\x2c\x69" + bytes([value]) + b"\xff\xf0"
    assert talk.lines == [(False, True), (True, True), (True, False), (False, False)]


def test_the_rate_is_set_and_asked_for():
    talk = Talk()
    assert struct.pack(">I", 0x0001C2FF).replace(b"\xff", b"\xff\xff") in talk.set(1, struct.pack(">I", 0x0001C2FF))
    assert talk.telnet.baud == 0x0001C2FF
    assert struct.pack(">I", 0x0001C2FF).replace(b"\xff", b"\xff\xff") in talk.set(1, bytes(4))


def test_unknown_options_are_refused_and_known_ones_agreed_once():
    talk = Talk()
    talk.telnet.feed(b"\xff\xfb\x18\xff\xfd\x18")  # terminal type
    assert bytes(talk.sent) == b"\xff\xfe\x18\xff\xfc\x18"
    talk.sent.clear()
    talk.telnet.feed(b"\xff\xfd\x00" * 3)
    assert bytes(talk.sent) == b"\xff\xfb\x00"


def test_a_slow_line_books_one_byte_after_the_other():
    now = [100.0]
    pace = Pace(lambda: now[0])
    assert pace.book(1152, 115200) == pytest.approx(100.1)
    assert pace.book(1152, 115200) == pytest.approx(100.2)
    now[0] = 200.0
    assert pace.book(1152, 11520) == pytest.approx(201.0)


def test_every_nth_byte_is_lost_in_each_direction():
    trouble = Trouble()
    assert trouble.line(b"all", 0) == b"all"
    trouble.set("drop", 3)
    assert trouble.line(b"abcdef", 0) + trouble.line(b"ghi", 0) == b"abdegh"
    assert trouble.line(b"ab", 1) + trouble.line(b"cd", 1) == b"abd"


WRONG = {"no such thing": ("smoke", 1), "a size that no flash has": ("flash-id", "3MB"), "no number": ("mute", "yes")}


@pytest.mark.parametrize("sentence", WRONG)
def test_trouble_that_makes_no_sense_is_refused(sentence):
    with pytest.raises(ValueError):
        Trouble().set(*WRONG[sentence])


def test_trouble_ends_with_zero_false_or_null():
    trouble = Trouble()
    for nothing in (0, False, None):
        trouble.set("mute", True)
        assert trouble.on("mute")
        trouble.set("mute", nothing)
        assert not trouble.on("mute")
    trouble.set("flash-id", "2MB")
    assert trouble.values["flash-id"] == 2 << 20
