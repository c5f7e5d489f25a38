"""Which port a command means."""

from pathlib import Path

import pytest

from fleet.errors import NotFoundError, UnreachableError, UsageError
from fleet.flashing import ports
from fleet.flashing.ports import Port

USB0, USB1 = Port("/dev/ttyUSB0", "CP2102N", "0001", 0x10C4, 0xEA60), Port("/dev/ttyUSB1", "CP2102N", "0002")
BOTH = [USB0, USB1]

CHOICES = {
    "the only one is chosen by itself": ([USB0], [], False, [USB0]),
    "all of several": (BOTH, [], True, BOTH),
    "all of one": ([USB0], [], True, [USB0]),
    "one by its path": (BOTH, ["/dev/ttyUSB1"], False, [USB1]),
    "a pattern of attached ports": (BOTH, ["/dev/ttyUSB*"], False, BOTH),
    "twice the same": (BOTH, ["/dev/ttyUSB1", "/dev/ttyUSB*"], False, [USB1, USB0]),
    "a URL": (BOTH, ["rfc2217://bench:4000"], False, [Port("rfc2217://bench:4000")]),
    "a URL with what looks like a pattern": ([], ["socket://[::1]:4000"], False, [Port("socket://[::1]:4000")]),
    "a path that nobody knows": (BOTH, ["/tmp/board/port"], False, [Port("/tmp/board/port")]),
}


@pytest.mark.parametrize("case", CHOICES)
def test_choice(case: str) -> None:
    known, wanted, every, expected = CHOICES[case]
    assert ports.choose(known, wanted, every) == expected


def test_nothing_is_attached() -> None:
    with pytest.raises(UnreachableError, match="no board is attached"):
        ports.choose([], [], every=True)


def test_several_are_listed_and_none_is_chosen() -> None:
    with pytest.raises(UsageError, match="2 boards are attached") as caught:
        ports.choose(BOTH, [])
    assert caught.value.cause.splitlines() == ["/dev/ttyUSB0  CP2102N", "/dev/ttyUSB1  CP2102N"]


def test_a_pattern_that_fits_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        ports.choose(BOTH, [f"{tmp_path}/*/port"])


def test_what_the_environment_names_counts_as_attached(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "port").touch()
    words = f"{tmp_path}/*/port\n socket://127.0.0.1:4000 {tmp_path}/a/port"
    found = [port.url for port in ports.attached({ports.ENVIRONMENT: words}) if port.vid is None]
    assert found == [f"{tmp_path}/a/port", f"{tmp_path}/b/port", "socket://127.0.0.1:4000"]
