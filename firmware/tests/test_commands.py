"""Commands: once each, never after their expiry, every step reported, whatever restarts in between."""

from firmware.tests.fakes import EIO, Files, Time
from node.core.commands import CommandError, Commands
from node.core.config import Config
from node.core.log import Lines
from node.core.orders import Orders
from protocol.messages import (
    ACCEPTED,
    DONE,
    E_ARGUMENT,
    E_BUSY,
    E_HARDWARE,
    E_INTERNAL,
    E_NONE,
    E_STORAGE,
    E_UNKNOWN,
    EXPIRED,
    FAILED,
    RUNNING,
    Command,
    Reply,
)
from protocol.settings import SETTINGS

NOW_S = 1_800_000_000


class Rig:
    """Commands with handlers that note what they ran with."""

    def __init__(self):
        self.files = Files()
        self.runs = []
        self.ended = []
        self.handlers = {
            "note": self.note,
            "fail": self.fail,
            "break": lambda args: {}[1],
            "restart": lambda args: None,
            "huge": lambda args: {"text": "x" * 9000},
        }
        self.boot = 0
        self.restart()

    def restart(self, on_purpose=False):
        self.boot += 1
        self.time = Time()
        self.replies = []
        self.commands = Commands(
            self.files,
            self.time.clock,
            self.boot,
            self.handlers,
            self.replies.append,
            lambda *end: self.ended.append(end),
        )
        self.commands.resume(on_purpose)

    def note(self, args):
        self.runs.append(args)
        return {"n": len(self.runs)}

    def fail(self, args):
        raise CommandError(E_HARDWARE, "x" * 200)

    def send(self, number, name="note", **fields):
        self.commands.handle(Command(id=b"%08d" % number, name=name, actor="bench", **fields).encode())
        return self.steps()

    def steps(self):
        """(status, code) of the replies since the last call."""
        found = [Reply.decode(reply) for reply in self.replies]
        self.replies.clear()
        return [(reply.status, reply.code) for reply in found]


def test_a_command_is_accepted_run_and_reported():
    rig = Rig()
    rig.commands.handle(Command(id=b"12345678", name="note", args={"a": 1}).encode())
    replies = [Reply.decode(reply) for reply in rig.replies]
    assert [reply.status for reply in replies] == [ACCEPTED, DONE]
    assert replies[1].result == {"n": 1}
    assert replies[1].id == b"12345678"
    assert replies[1].boot == 1
    assert rig.runs == [{"a": 1}]
    assert rig.ended == [("note", DONE, E_NONE, "")]


def test_what_ends_how():
    rows = {
        "a command that nobody knows": ("nothing", [(FAILED, E_UNKNOWN)]),
        "a handler that refuses": ("fail", [(ACCEPTED, E_NONE), (FAILED, E_HARDWARE)]),
        "a handler that breaks": ("break", [(ACCEPTED, E_NONE), (FAILED, E_INTERNAL)]),
        "a result that is too long": ("huge", [(ACCEPTED, E_NONE), (DONE, E_NONE)]),
        "one that goes on": ("restart", [(ACCEPTED, E_NONE), (RUNNING, E_NONE)]),
    }
    for sentence, row in rows.items():
        assert Rig().send(1, row[0]) == row[1], sentence


def test_the_same_id_runs_once_and_is_answered_again():
    rig = Rig()
    rig.send(1)
    assert rig.send(1) == [(DONE, E_NONE)]
    rig.restart()
    assert rig.send(1) == [(DONE, E_NONE)]
    assert len(rig.runs) == 1
    assert rig.send(2) == [(ACCEPTED, E_NONE), (DONE, E_NONE)]


def test_the_last_32_ids_are_remembered():
    rig = Rig()
    for number in range(40):
        rig.time.sleep(2000)
        rig.send(number)
    rig.restart()
    rig.time.sleep(60_000)
    rig.send(8)
    assert len(rig.runs) == 40
    rig.send(7)
    assert len(rig.runs) == 41


def test_a_command_that_restarts_the_node_is_done_when_it_comes_back_and_not_run_again():
    rig = Rig()
    rig.send(1, "restart")
    rig.restart(on_purpose=True)
    assert rig.steps() == [(DONE, E_NONE)]
    assert rig.send(1, "restart") == [(DONE, E_NONE)]
    assert rig.ended == [("restart", DONE, E_NONE, "bench")]
    rig.restart(on_purpose=True)
    assert rig.steps() == []


def test_a_command_that_a_crash_interrupted_has_failed():
    rig = Rig()
    rig.send(1, "restart")
    rig.restart(on_purpose=False)
    assert rig.steps() == [(FAILED, E_INTERNAL)]


def test_expiry():
    rows = {
        "no expiry, no clock": (None, 0, 0, DONE),
        "in time": (NOW_S, 0, NOW_S, DONE),
        "too late": (NOW_S, 0, NOW_S - 1, EXPIRED),
        "no clock, but certainly too late": (None, NOW_S, NOW_S - 1, EXPIRED),
    }
    for sentence, row in rows.items():
        rig = Rig()
        if row[0]:
            rig.time.clock.set_utc(row[0] * 1000)
        rig.time.clock.floor_s = row[1]
        assert rig.send(1, expires=row[2])[-1] == (row[3], E_NONE), sentence
        assert len(rig.runs) == (row[3] == DONE), sentence


def test_without_a_clock_an_expiring_command_waits_for_it():
    rig = Rig()
    assert rig.send(1, expires=NOW_S + 10) == []
    assert rig.send(1, expires=NOW_S + 10) == []
    assert rig.send(2, expires=NOW_S - 10) == []
    rig.commands.tick()
    assert rig.runs == []
    rig.time.clock.set_utc(NOW_S * 1000)
    rig.commands.tick()
    assert rig.steps() == [(ACCEPTED, E_NONE), (DONE, E_NONE), (EXPIRED, E_NONE)]
    assert len(rig.runs) == 1


def test_only_so_many_wait_for_the_clock():
    rig = Rig()
    for number in range(4):
        assert rig.send(number, expires=NOW_S) == []
    assert rig.send(5, expires=NOW_S) == [(FAILED, E_BUSY)]


def test_a_flood_is_refused_as_busy_and_may_come_again():
    rig = Rig()
    for number in range(10):
        rig.send(number)
    assert rig.send(10) == [(FAILED, E_BUSY)]
    rig.time.sleep(2000)
    assert rig.send(10) == [(ACCEPTED, E_NONE), (DONE, E_NONE)]
    assert rig.send(11) == [(FAILED, E_BUSY)]
    assert rig.send(3) == [(DONE, E_NONE)]


def test_a_command_that_cannot_be_remembered_is_not_run():
    rig = Rig()
    rig.files.fail = EIO
    assert rig.send(1)[-1] == (FAILED, E_STORAGE)
    assert rig.runs == []


def test_what_is_no_command_is_counted():
    rig = Rig()
    rig.commands.handle(b"\xa0")
    assert rig.commands.bad == 1
    assert rig.replies == []


class Order:
    """The commands of every node, each called by name."""

    def __init__(self):
        self.restarts = []
        self.reports = []
        self.written = []
        time = Time()
        config = Config(Files(), time.clock)
        self.lines = Lines(time.clock, 1, self.written.append, lambda: config.get("log_level"))
        self.time = time
        self.orders = Orders(
            time.clock, config, self.lines, lambda *call: self.restarts.append(call), lambda: self.reports.append(1)
        )

    def __call__(self, name, **args):
        try:
            return self.orders.table[name](args)
        except CommandError as error:
            return error.code


def test_the_commands_of_every_node():
    order = Order()
    order.time.sleep(5000)
    assert order("ping") == {"up_s": 5}
    assert order("heartbeat") == {}
    assert order.reports == [1]
    assert order("reboot") is None
    assert order("reboot", delay_s=0) is None
    assert order.restarts == [("command reboot", 2000), ("command reboot", 0)]
    assert order("reboot", delay_s=61) == E_ARGUMENT
    assert order("identify") == E_HARDWARE
    values = order("read_config")
    assert len(values) == len(SETTINGS)
    assert values["batch"] == 5
    Reply(id=b"12345678", status=DONE, result=values).encode()


def test_the_log_level_holds_for_a_while():
    order = Order()
    order.lines(7, "x", "debug")
    assert order("log_level", level=7, seconds=10) == {}
    order.lines(7, "x", "debug")
    order.time.sleep(10_000)
    order.lines(7, "x", "debug")
    assert len(order.written) == 1
    for args in ({}, {"level": 2}, {"level": "7"}, {"level": True}, {"level": 7, "seconds": 0}):
        assert order("log_level", **args) == E_ARGUMENT
