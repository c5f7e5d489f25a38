"""What a board may say on its serial console: lines out of any bytes, reports, logs, signs of trouble."""

import json

from fleet.boards.monitor import Decoder
from fleet.flashing.console import Condition, _Listener
from fleet.flashing.text import LINE_MAX, LineReader
from protocol import console, report
from protocol.tests import test_console
from tools.fuzz import inputs
from tools.fuzz.rng import Random

INTERPRETERS = ("cpython",)
BOUND = (12 << 10, 64)
_PIECES = (1, 3, 64)
_LINES = (
    b"rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n",
    b"rst:0x8 (TG1WDT_SYS_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\n",
    b"invalid header: 0xffffffff\r\n",
    b"Brownout detector was triggered\r\n",
    b"\x1b[0;32mI (31) boot: ESP-IDF v5.4.2 2nd stage bootloader\x1b[0m\r\n",
    b"Guru Meditation Error: Core  0 panic'ed (LoadProhibited)\r\n",
    b'Traceback (most recent call last):\r\n  File "main.py", line 1, in <module>\r\nOSError: [Errno 19] ENODEV\r\n',
    b"12.345 I app: air-1 0.1.0 boot 7 slot a\r\n",
    b"MicroPython v1.26.1 on 2025-09-11; Generic ESP32 module with ESP32\r\n>>> ",
    b"\x1b]0;title\x07\x1b[2J\x9b31m\xc2\x9b5m\xe2\x80\xae\r\n",
)


def seeds() -> list[bytes]:
    """Lines that mean something, and those that the tests of reports refuse."""
    told = f"{report.PREFIX}{json.dumps({**test_console.NODE, 'state': report.NODE})}\r\n".encode()
    return sorted([*_LINES, told, *(line.encode() + b"\n" for line in test_console.OTHER_LINES.values())])


def generate(random: Random, seeds: list[bytes]) -> bytes:
    """Noise, damaged lines, lines one after the other, reports with values of any kind, and lines without an end."""
    how = random.below(16)
    if how < 2:
        return inputs.noise(random)
    if how < 7:
        return inputs.damaged(random, seeds)
    if how < 12:
        return _report(random)
    if how == 12 and random.below(8) == 0:
        return seeds[random.below(len(seeds))].rstrip() * (1 + random.below(400))
    return b"".join(seeds[random.below(len(seeds))] for _ in range(1 + random.below(4)))[: inputs.MAX_SIZE]


def _report(random: Random) -> bytes:
    rows = []
    for name, kind, most in console.FIELDS:
        if random.below(4):
            number = random.bits() % (most + 1) if random.below(8) else random.bits() - (1 << 31)
            size = min(most, console.MAX_LINE)
            text = ("a" * size, "", "node", "f" * (size + 1), "\\u001b[2J", "\\ud800", '"')[random.below(7)]
            rows.append(f'"{name}":{number}' if kind is int else f'"{name}":"{text}"')
    rows.append('"state":"node"' if random.below(8) else ('"x":[[[{}]]]', '"x":1e999', '"x":NaN')[random.below(3)])
    return f"{report.PREFIX}{{{','.join(rows)}}}\r\n".encode()


def parse(data: bytes) -> None:
    """Cut into lines and say what they mean; nothing is an error."""
    _told(data, len(data) or 1)


def verdict(data: bytes) -> bytes:
    """What is shown and understood, however the bytes arrive."""
    said = _told(data, len(data) or 1)
    if b"\n" in data and len(max(data.split(b"\n"), key=len)) < LINE_MAX:
        for piece in _PIECES:
            assert _told(data, piece) == said, f"another meaning in pieces of {piece}"
    return said.encode()


def _told(data: bytes, piece: int) -> str:
    reader, decoder, listener = LineReader(), Decoder(), _Listener()
    lines = [line for at in range(0, len(data), piece) for line in reader.feed(data[at : at + piece])]
    meanings = [decoder.line(text, 0) for text in lines]
    listener.hear(lines)
    answer = listener.answer(reader.rest, asked=False)
    for text in [*lines, reader.rest, *(f"{one.says} {one.hint} {one.fields}" for one in meanings)]:
        assert text.replace("\t", "").isprintable(), "something that moves a cursor"
    assert max(map(len, [*lines, reader.rest])) <= LINE_MAX, "a line without bound"
    kinds = " ".join(f"{one.kind}/{one.severity}" for one in meanings)
    word = "ok" if answer.condition not in (Condition.SILENCE, Condition.NOISE, Condition.OTHER) else "nothing"
    return f"{word} {answer.condition} {answer.report} {answer.micropython} {kinds} {reader.rest!r}"
