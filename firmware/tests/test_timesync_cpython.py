"""The SNTP client under MicroPython against servers that are right, wrong and silent."""

import contextlib
import json
import socket
import subprocess
import threading
import time

import pytest

from firmware.tests.link_rig import NameServer
from tools.interpreter import ROOT, micropython

_1900 = 2208988800  # seconds from 1900 to 1970
FLOOR_S = 1767225600


class TimeServer:
    """Says what `now_ms()` gives (ms since 1970); None keeps silent. `stratum` 0 is the kiss of death."""

    def __init__(self, now_ms, stratum=2):
        self._now_ms = now_ms
        self._stratum = stratum
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            data, peer = self._socket.recvfrom(100)
            if not data:
                return
            now = self._now_ms()
            if now is None:
                continue
            stamp = (now // 1000 + _1900).to_bytes(4, "big") + ((now % 1000 << 32) // 1000).to_bytes(4, "big")
            self._socket.sendto(bytes((0x24, self._stratum)) + bytes(22) + data[40:48] + stamp + stamp, peer)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


def right():
    return time.time_ns() // 1000000


def an_hour_ahead():
    return right() + 3600000


def two_hours_behind():
    return right() - 7200000


def in_the_last_century():
    return 900000000000


def silent():
    return None


@pytest.fixture
def sync():
    """Runs the probe against time servers that say what the given functions return; one result per round."""
    with contextlib.ExitStack() as stack:
        names = NameServer({"time.test": "127.0.0.1"})
        stack.callback(names.close)

        def run(*clocks, rounds=1, stratum=2):
            servers = [TimeServer(clock, stratum) for clock in clocks]
            for server in servers:
                stack.callback(server.close)
            script = str(ROOT / "firmware/tests/timesync_probe.py")
            command = [micropython(), script, str(ROOT), str(names.address[1]), str(FLOOR_S), str(rounds)]
            command += [f"time.test:{server.port}" for server in servers]
            output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
            return [json.loads(line) for line in output.splitlines()]

        yield run


def is_right(result):
    return result["good"] and abs(result["utc_ms"] - right()) < 2000 and result["tq"] == 4


def test_the_clock_is_set_and_the_next_round_says_how_far_it_was_off(sync):
    first, second = sync(right, right, right, rounds=2)
    assert is_right(first)
    assert is_right(second)
    assert first["off"] is None
    assert abs(second["off"]) < 1000


@pytest.mark.parametrize("liars", [(an_hour_ahead, right, right), (right, two_hours_behind, an_hour_ahead)])
def test_the_median_of_three_is_believed(sync, liars):
    assert is_right(sync(*liars)[0])


def test_two_that_disagree_are_not_believed(sync):
    result = sync(right, an_hour_ahead)[0]
    assert not result["good"]
    assert result["utc_ms"] is None
    assert "two servers disagree" in result["log"][-1]


def test_one_that_answers_is_enough_beside_those_that_are_silent_or_impossible(sync):
    assert is_right(sync(in_the_last_century, right)[0])


def test_nobody_to_believe_leaves_the_clock_alone(sync):
    for result in (sync(in_the_last_century)[0], sync(right, stratum=0)[0], sync()[0]):
        assert not result["good"]
        assert result["utc_ms"] is None


def test_a_silent_server_does_not_keep_the_others_from_being_asked(sync):
    result = sync(silent, right)[0]
    assert is_right(result)
    assert "no answer" in result["log"][0]
