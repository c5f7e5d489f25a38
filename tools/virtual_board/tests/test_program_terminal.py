"""The terminal: what the Unix port says and hears becomes what a board says and hears."""

import pytest

from tools.interpreter import ROOT
from tools.virtual_board.terminal import LINE_S, PATIENCE_S, QUEUE_MAX, Keyboard, Screen

UNIX = b'MicroPython 9458e3a23f on 2026-07-05; linux [GCC 14] version\r\nType "help()" for more information.\r\n>>> '
BOARD = (
    b'MicroPython v1.29.0 on 2026-07-05; Generic ESP32 module with ESP32\r\nType "help()" for more information.\r\n>>> '
)
HERE = str(ROOT).encode()
RAW = b"\x1b]raw;%d\x07"
SAID = {
    "a line ends as on a serial line": (b"one\ntwo\n", b"one\r\ntwo\r\n"),
    "what ends so already stays": (b"one\r\ntwo\r\n", b"one\r\ntwo\r\n"),
    "an empty line too": (b"\n\n", b"\r\n\r\n"),
    "the banner names the board": (UNIX, BOARD),
    "the banner among other things": (b"x\n" + UNIX + b"y\n", b"x\r\n" + BOARD + b"y\r\n"),
    "bytes that stand for themselves": (b"a\n" + RAW % 3 + b"\n\n\n" + b"b\n", b"a\r\n\n\n\nb\r\n"),
    "such bytes may look like anything": (RAW % 8 + b"\x1b]raw;9\x07", b"\x1b]raw;9\x07"),
    "none of them": (RAW % 0 + b"\n", b"\r\n"),
    "two in a row": (RAW % 1 + b"\n" + RAW % 1 + b"\n", b"\n\n"),
    "an escape of another kind": (b"\x1b[31mred\x1b[0m\n", b"\x1b[31mred\x1b[0m\r\n"),
    "a name that begins like the banner": (b"MicroPython is here\n", b"MicroPython is here\r\n"),
    "what stands for hardware is no part of a traceback": (
        b'  File "main.py", line 1\n  File "%s/tools/virtual_board/device/pins.py", line 7, in init\nOSError: 19\n'
        % HERE,
        b'  File "main.py", line 1\r\nOSError: 19\r\n',
    ),
    "the beginning of the banner alone": (b"Micro", b"Micro"),
}


@pytest.mark.parametrize("sentence", SAID)
@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_whatever_the_pieces(sentence, step):
    data, wanted = SAID[sentence]
    screen = Screen("esp32", "1.29.0")
    out = b"".join(screen.take(data[at : at + step]) for at in range(0, len(data), step))
    assert out + screen.flush() == wanted


def test_the_banner_may_be_left_out_once():
    screen = Screen("esp32", "1.29.0")
    screen.quiet = True
    assert screen.take(b"boot\n" + UNIX) == b"boot\r\n"
    assert screen.take(UNIX) == BOARD


def test_what_only_begins_like_a_mark_is_held_until_somebody_flushes():
    screen = Screen("esp32", "1.29.0")
    assert screen.take(b"count: M") == b"count: "
    assert screen.holds
    assert screen.flush() == b"M"
    assert not screen.holds


def test_it_knows_which_prompt_listens():
    screen = Screen("esp32", "1.29.0")
    screen.take(UNIX)
    assert not screen.raw
    for byte in b"\r\nraw REPL; CTRL-B to exit\r\n>":
        screen.take(bytes([byte]))
    assert screen.raw
    screen.take(b"OK42\n\x04\x04>")
    assert screen.raw
    screen.take(b"\r\n" + UNIX)
    assert not screen.raw


class Hands:
    """Somebody types; the program takes what `room` lets it."""

    def __init__(self):
        self.screen = Screen("esp32", "1.29.0")
        self.now = 0.0
        self.running = False
        self.took = b""
        self.room = 1 << 20
        self.keyboard = Keyboard(self.screen, lambda: self.running, self._write, lambda: self.now)

    def _write(self, data):
        taken = data[: self.room]
        self.took += taken
        return len(taken)

    def type(self, data):
        self.keyboard.type(data)
        self.keyboard.pump()


def test_a_program_that_runs_gets_everything():
    hands = Hands()
    hands.running = True
    hands.type(b"?\r\nhello")
    assert hands.took == b"?\r\nhello"


def test_what_follows_ctrl_c_is_for_the_prompt():
    hands = Hands()
    hands.running = True
    hands.type(b"\r\x03\r\x01")
    assert hands.took == b"\r\x03"
    hands.keyboard.pump()
    assert hands.took == b"\r\x03"
    hands.running = False
    hands.keyboard.pump()
    assert hands.took == b"\r\x03\r"  # and the prompt answers it
    hands.screen.take(b"\r\n>>> ")
    hands.keyboard.pump()
    assert hands.took == b"\r\x03\r\x01"


def test_a_program_that_does_not_care_for_ctrl_c_gets_the_rest_in_the_end():
    hands = Hands()
    hands.running = True
    hands.type(b"\x03abc")
    hands.now = PATIENCE_S
    hands.keyboard.pump()
    assert hands.took == b"\x03abc"


def test_lines_at_the_prompt_are_typed_one_after_the_other():
    hands = Hands()
    hands.type(b"x = 1\r\nprint(x)\r\n")
    assert hands.took == b"x = 1\r"
    hands.running = True
    hands.keyboard.pump()
    assert hands.took == b"x = 1\r"
    hands.running = False
    hands.screen.take(b"x = 1\r\n>>> ")
    hands.keyboard.pump()
    assert hands.took == b"x = 1\rprint(x)\r"


def test_a_line_that_starts_something_long_leaves_the_rest_to_it():
    hands = Hands()
    hands.type(b"name = input()\rAda\r")
    hands.running = True
    hands.now = LINE_S
    hands.keyboard.pump()
    assert hands.took == b"name = input()\rAda\r"


def test_the_raw_prompt_takes_code_as_it_comes():
    hands = Hands()
    hands.screen.take(b"raw REPL; CTRL-B to exit\r\n>")
    hands.type(b"a = '\r'\r\nprint(a)\x04")
    assert hands.took == b"a = '\r'\r\nprint(a)\x04"


def test_what_does_not_fit_is_typed_later_and_nothing_twice():
    hands = Hands()
    hands.running = True
    hands.room = 3
    hands.type(b"abcdefgh")
    while hands.keyboard.waiting:
        hands.keyboard.pump()
    assert hands.took == b"abcdefgh"


def test_nobody_can_type_ahead_without_end():
    hands = Hands()
    hands.running = True
    hands.room = 0
    hands.type(b"x" * (QUEUE_MAX + 10))
    hands.room = 1 << 20
    hands.keyboard.pump()
    assert len(hands.took) == QUEUE_MAX
