"""What the tests of the bench share: a bench.toml, suites that need no boards, and plugs that switch nothing."""

import contextlib
import hashlib
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 60.0  # of a loaded machine

# A suite as hil_tests is one, without boards: a test takes any board that is free, and looks whether it is alone there.
CONFTEST = '''
import os, pathlib, time
import pytest
from fleet import processes
from fleet.hil import inventory, lock, plan, results

def pytest_addoption(parser):
    plan.add_options(parser)

class Session:
    def __init__(self, config):
        self.plan = plan.of(config)
        self.bench = inventory.load(self.plan.bench)
        worker = getattr(config, "workerinput", {}).get("workerid", "main")
        if worker != "main":
            processes.end_with_parent()
        self.recorder = results.Recorder(self.plan.directory, worker)

def pytest_configure(config):
    config.hil = Session(config)

def pytest_collection_modifyitems(config, items):
    config.hil.recorder.expect(len(items))

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" or report.failed:
        item.outcome = report.outcome, call.duration, str(call.excinfo.value) if call.excinfo else ""
    return report

@pytest.fixture
def record(request):
    found = request.config.hil.recorder.test(request.node.nodeid)
    yield found
    outcome, seconds, message = request.node.outcome
    found.end(outcome, seconds, message)

@pytest.fixture
def board(request, record):
    """A board for this test alone; every begin and end is written down, and a second user is a failure."""
    hil = request.config.hil
    with lock.acquire_any(hil.plan.choose(hil.bench), 1, hil.plan.wait) as held:
        name = held[0].board
        record.use(name)
        witness = hil.bench.directory / "witness" / name
        os.close(os.open(witness, os.O_CREAT | os.O_EXCL))
        began = time.time_ns()
        yield name
        witness.unlink()
        with (hil.bench.directory / "ledger").open("a") as ledger:
            ledger.write(f"{name} {began} {time.time_ns()} {hil.plan.directory.name}\\n")
'''
SUITE = """
import time
import pytest

@pytest.mark.parametrize("number", range(12))
def test_a_board_is_used_alone(board, number):
    time.sleep(0.03)  # a board's own work
"""
# Two runs of this are over only when each has seen the other at work.
TOGETHER = """
import time
import pytest

@pytest.mark.parametrize("number", range(12))
def test_a_board_is_used_alone(board, number, request):
    hil = request.config.hil
    ledger, end = hil.bench.directory / "ledger", time.monotonic() + 100
    while number == 11 and not seen_another(ledger, hil.plan.directory.name):
        assert time.monotonic() < end, "the other run does nothing"
        time.sleep(0.02)
    time.sleep(0.02)  # a board's own work

def seen_another(ledger, run):
    return ledger.exists() and any(not line.endswith(run) for line in ledger.read_text().splitlines())
"""
FAILING = """
def test_it_measures(board, record):
    assert record.measure("boot", 5.0, "s", high=4).ok, "boot takes too long"

def test_it_is_well(board):
    pass
"""
HANGING = """
import time

def test_it_takes_for_ever(board):
    time.sleep(3600)
"""


def make_bench(directory: Path, names: tuple[str, ...] = ("air-1", "air-2", "air-3"), more: str = "") -> Path:
    """A bench.toml whose ports are files; the path of it."""
    (directory / "witness").mkdir(parents=True)
    rows = [f'[bench]\nname = "desk"\n{more}']
    for name in names:
        (directory / name).touch()
        rows.append(f'[[board]]\nid = "{name}"\nport = "{name}"\n')
    path = directory / "bench.toml"
    path.write_text("\n".join(rows))
    return path


def make_suites(directory: Path, **suites: str) -> Path:
    """A directory of suites by name, with CONFTEST."""
    directory.mkdir()
    (directory / "conftest.py").write_text(CONFTEST)
    (directory / "pytest.ini").write_text(
        "[pytest]\naddopts = -p no:pytest_embedded\n"
    )  # it forks, and a fork keeps pipes open
    for name, text in suites.items():
        (directory / f"test_{name}.py").write_text(text)
    return directory


def until(probe: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """The first true answer of `probe`."""
    end = time.monotonic() + patience_s
    while not (found := probe()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)
    return found


@dataclass
class Plug:
    """A switch on the network, as far as its HTTP goes: answers `answers` in turn, the last one for ever."""

    answers: list[tuple[int, str]]
    login: tuple[str, str, str] | None = None  # scheme, user, password
    delay_s: float = 0.0
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def reply(self, path: str, header: str | None) -> tuple[int, str, dict[str, str]]:
        """(status, body, headers) for a request."""
        if self.login and not _knows(self.login, path, header):
            challenge = 'Digest qop="auth", realm="plug", nonce="60dc2c69", algorithm=SHA-256'
            return 401, "", {"WWW-Authenticate": 'Basic realm="plug"' if self.login[0] == "basic" else challenge}
        self.asked.append(path)
        time.sleep(self.delay_s)
        return *(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]), {}


def _knows(login: tuple[str, str, str], path: str, header: str | None) -> bool:
    scheme, user, password = login
    if header is None:
        return False
    if scheme == "basic":
        import base64

        return header == f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    def digest(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    said = dict(re.findall(r'(\w+)="?([^",]+)"?', header))  # RFC 7616, 3.4.1
    first, second = digest(f"{user}:{said['realm']}:{password}"), digest(f"GET:{path}")
    wanted = digest(":".join([first, said["nonce"], said["nc"], said["cnonce"], said["qop"], second]))
    return said["username"] == user and said["response"] == wanted


@contextlib.contextmanager
def plugged(plug: Plug) -> Iterator[Plug]:
    """The plug on a free port; its address is known within."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = plug.reply(self.path, self.headers.get("Authorization"))
            with contextlib.suppress(OSError):  # who asked did not wait
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    plug.address = f"127.0.0.1:{server.server_port}"
    try:
        yield plug
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def words(path: str) -> dict[str, str]:
    """The query of a request."""
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))


def read_json(path: Path) -> dict[str, object]:
    """A JSON object in a file."""
    found: dict[str, object] = json.loads(path.read_text())
    return found
