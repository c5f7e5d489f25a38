"""The command line against a real service and broker; a node is played by an MQTT client with its certificate."""

import csv
import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from fleet import watch
from fleet.config import Config as FleetConfig
from fleet.errors import UnreachableError
from fleet.model import Kind
from fleet.provision import Provisioner, Request
from fleet.store import Store
from fleet.tests.cli_rig import make_fleet, run
from fleet.tests.rig import Client, wait_for
from protocol import channels
from protocol.messages import DONE, E_ARGUMENT, FAILED, Batch, Command, Config, Heartbeat, Log, Reply, State
from protocol.records import TQ_NTP_HOUR, Record, Sample
from protocol.topics import down, up

PATIENCE_S = 30.0
BOOT = 29_000_000
NODE = "air-1"
FIRMWARE = "1.4.0"


def pem(header: str, der: bytes) -> str:
    import ssl

    return ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", header)


def provision(config: FleetConfig, *nodes: str) -> None:
    """Provision nodes and keep their certificates where the MQTT client of the tests finds them."""
    with Store.open(config.store_url) as store:
        made = Provisioner(config, store.nodes).provision(*(Request(node, Kind.AIR, "esp32") for node in nodes))
    for identity in made:
        (config.certs_dir / f"{identity.node}.pem").write_text(pem("CERTIFICATE", identity.cert))
        key = config.certs_dir / f"{identity.node}.key"
        key.touch(0o600)
        key.write_text(pem("EC PRIVATE KEY", identity.key))


class Program:
    """`fleet ...` as a process of its own, whose output can be read while it runs."""

    def __init__(self, config: FleetConfig, *words: str) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-m", "fleet", *words, "--fleet", str(config.directory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        streams = ((self.child.stdout, self.lines), (self.child.stderr, self.errors))
        self._readers = [threading.Thread(target=self._read, args=stream, daemon=True) for stream in streams]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: IO[str], into: list[str]) -> None:
        with stream:
            into.extend(iter(stream.readline, ""))

    def wait_line(self, start: str) -> str:
        def found() -> list[str]:
            return [line for line in list(self.lines) if line.startswith(start)]

        wait_for(lambda: found() or self.child.poll() is not None, f"a line {start!r}", PATIENCE_S)
        assert found(), "".join(self.errors)
        return found()[0]

    def end(self, number: int | None = None) -> int:
        """The exit code, after a signal or by itself."""
        if number is not None:
            self.child.send_signal(number)
        try:
            code = self.child.wait(PATIENCE_S)
        finally:
            self.child.kill()
            self.child.wait()
        for reader in self._readers:
            reader.join()
        return code

    @property
    def json(self) -> Any:
        return json.loads("".join(self.lines))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetConfig]:
    config = make_fleet(tmp_path_factory.mktemp("served") / "fleet")
    provision(config, NODE, "air-2")
    service = Program(config, "serve")
    try:
        service.wait_line("ready")
        yield config
    finally:
        assert service.end(signal.SIGTERM) == 0, "".join(service.errors)


@pytest.fixture
def node(served: FleetConfig) -> Iterator[Client]:
    """The node, connected and listening to its own topics."""
    with Client(served, NODE, NODE, clean=True) as client:
        client.subscribe(down(NODE, "cmd"))
        client.subscribe(down(NODE, "config"))
        client.publish(up(NODE, "state"), state().encode(), retain=True)
        yield client


def state(**values: Any) -> State:
    known = {"boot": BOOT, "firmware": FIRMWARE, "kind": "air", "slot": "a", "heartbeat": Heartbeat(up_s=60)}
    return State(online=True, **{**known, **values})


def batch(seq: int, t: int, *values: int) -> bytes:
    entries = [
        Record(seq + at, t + 60 * at, TQ_NTP_HOUR, {channels.T_AMB: Sample(value)}).encode()
        for at, value in enumerate(values)
    ]
    return Batch(boot=BOOT, entries=entries).encode()


def ordered(client: Client) -> Command:
    """The next command that reaches the node."""
    topic = down(NODE, "cmd")
    wait_for(lambda: any(name == topic for name, _ in client.messages), "a command", PATIENCE_S)
    found = next(payload for name, payload in client.messages if name == topic)
    client.messages.clear()
    return Command.decode(found)


def configured(client: Client, setting: int) -> Config:
    """The configuration with that setting, when it has reached the node; an older one may be retained."""

    def found() -> list[Config]:
        every = [Config.decode(payload) for name, payload in client.messages if name == down(NODE, "config")]
        return [config for config in every if setting in config.values]

    wait_for(found, "a configuration", PATIENCE_S)
    return found()[-1]


def test_what_a_node_says_is_listed_shown_and_exported(served: FleetConfig, node: Client) -> None:
    start = int(time.time()) // 60 * 60 - 600
    node.publish(up(NODE, "tele"), batch(0, start, 2150, -5, 0))

    def table() -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(run("data", "export", NODE, "--fleet", served.directory).out)))

    wait_for(lambda: len(table()) == 3, "three records", PATIENCE_S)
    assert [row["value"] for row in table()] == ["21.50", "-0.05", "0.00"]
    assert {row["unit"] for row in table()} == {"Cel"}
    rows = {row["id"]: row for row in run("node", "list", "--json", "--fleet", served.directory).json["nodes"]}
    assert (rows[NODE]["state"], rows[NODE]["version"]) == ("online", FIRMWARE)
    assert rows["air-2"]["state"] == "never"
    assert run("data", "show", NODE, "--json", "--fleet", served.directory).json["values"][0]["value"] == 0


def test_a_command_and_its_answer(served: FleetConfig, node: Client) -> None:
    asked = Program(served, "node", "command", "ping", NODE, "count=3", "--json")
    order = ordered(node)
    assert (order.name, order.args) == ("ping", {"count": 3})
    assert "@" in order.actor
    node.publish(up(NODE, "reply"), Reply(id=order.id, status=DONE, result={"up_s": 77}, boot=BOOT).encode())
    assert asked.end() == 0, asked.errors
    (command,) = asked.json["commands"]
    assert (command["status"], command["result"]) == ("done", {"up_s": 77})


def test_a_command_that_fails(served: FleetConfig, node: Client) -> None:
    asked = Program(served, "node", "command", "reboot", NODE, "delay_s=99", "--json")
    order = ordered(node)
    reply = Reply(id=order.id, status=FAILED, code=E_ARGUMENT, text="delay_s must be 0 to 60", boot=BOOT)
    node.publish(up(NODE, "reply"), reply.encode())
    assert asked.end() == 1
    error = json.loads("".join(asked.errors))["error"]
    assert error["message"] == "air-1: an argument or value is wrong: delay_s must be 0 to 60"


def test_a_command_that_nobody_answers(served: FleetConfig) -> None:
    found = run("node", "command", "ping", "air-2", "--timeout", "1s", "--json", "--fleet", served.directory)
    assert found.code == 8
    assert found.error["code"] == "timed-out"


def test_a_configuration_until_it_is_applied(served: FleetConfig, node: Client) -> None:
    asked = Program(served, "node", "config", "set", NODE, "interval_s=30", "--wait", "--json")
    config = configured(node, 1)
    assert config.values == {1: 30}
    node.publish(up(NODE, "state"), state(config_desired=config.rev, config_applied=0).encode(), retain=True)
    node.publish(up(NODE, "state"), state(config_desired=config.rev, config_applied=config.rev).encode(), retain=True)
    assert asked.end() == 0, asked.errors
    assert asked.json["changes"][0]["rev"] == config.rev
    row = run("node", "show", NODE, "--json", "--fleet", served.directory).json["node"]
    assert (row["config"], row["config_applied"]) == ("applied", config.rev)


def test_a_configuration_that_is_refused(served: FleetConfig, node: Client) -> None:
    asked = Program(served, "node", "config", "set", NODE, "window=1", "--wait", "--json")
    config = configured(node, 5)
    said = state(
        config_desired=config.rev, config_applied=config.rev - 1, config_error=E_ARGUMENT, config_path="window"
    )
    node.publish(up(NODE, "state"), said.encode(), retain=True)
    assert asked.end() == 1
    assert "window: an argument or value is wrong" in json.loads("".join(asked.errors))["error"]["message"]


def test_following_a_node_and_interrupting(served: FleetConfig, node: Client) -> None:
    tail = Program(served, "node", "tail", NODE, "--json")
    wait_for(lambda: any('"state"' in line for line in tail.lines), "the retained state", PATIENCE_S)
    node.publish(up(NODE, "tele"), batch(100, int(time.time()) - 60, 1234))
    node.publish(up(NODE, "log"), Log(level=4, tag="link", text="slow").encode(), qos=0)
    wait_for(lambda: any('"log"' in line for line in tail.lines), "the log line", PATIENCE_S)
    assert tail.end(signal.SIGINT) == 130
    rows = [json.loads(line) for line in tail.lines]
    assert {row["what"]: row["text"] for row in rows if row["what"] != "state"} == {
        "record": "#100 t_amb=12.34 °C",
        "log": "warning link: slow",
    }
    assert {row["node"] for row in rows} == {NODE}


def test_following_ends_by_count_and_by_time(served: FleetConfig, node: Client) -> None:
    found = run("node", "tail", NODE, "-n", "1", "--for", "30s", "--fleet", served.directory)
    assert found.code == 0
    assert f"online {FIRMWARE}" in found.out
    assert run("node", "tail", "air-2", "--for", "0", "--fleet", served.directory).out == ""


def test_following_several_nodes(served: FleetConfig, node: Client) -> None:
    found = run("node", "tail", "-n", "1", "--for", "30s", "-o", "name", "--fleet", served.directory)
    assert (found.code, found.out, found.err) == (0, f"{NODE}\n", "")


def test_log_lines_of_a_node(served: FleetConfig, node: Client) -> None:
    follow = Program(served, "node", "logs", NODE, "--follow")
    node.publish(up(NODE, "log"), Log(level=3, tag="air", text="a line of the log").encode(), qos=0)
    wait_for(lambda: any("a line of the log" in line for line in follow.lines), "the line", PATIENCE_S)
    assert follow.end(signal.SIGINT) == 130


def test_the_doctor_is_content(served: FleetConfig, node: Client) -> None:
    def verdict() -> dict[str, str]:
        checks = run("doctor", "--json", "--fleet", served.directory).json["checks"]
        return {row["check"]: row["status"] for row in checks if row["status"] == "fail"}

    wait_for(lambda: verdict() == {}, "a doctor who is content", PATIENCE_S)


def test_a_backup_while_the_service_runs(served: FleetConfig, tmp_path: Path) -> None:
    made = run("backup", tmp_path / "b.tar.gz", "--json", "--fleet", served.directory)
    assert made.json["backup"]["records"] >= 0


def test_a_second_service_is_refused(served: FleetConfig) -> None:
    second = Program(served, "serve")
    assert second.end() == 4
    assert any("another service runs" in line for line in second.errors)


# paho leaves a socket whose handshake failed to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_broker_of_another_fleet_is_called_so(served: FleetConfig, tmp_path: Path) -> None:
    other = make_fleet(tmp_path / "other", port=served.broker.port)
    with pytest.raises(UnreachableError, match="not this fleet's broker"):
        watch.reach(other)
    served_twice = run("serve", "--fleet", other.directory)
    assert served_twice.code == 5
    assert "end the program that has the port" in served_twice.err


def test_a_retired_node_is_cut_off(served: FleetConfig) -> None:
    provision(served, "air-3")
    with Client(served, "air-3", "air-3", clean=True) as client:
        client.publish(up("air-3", "state"), state().encode())
        done = run("node", "retire", "air-3", "--yes", "--fleet", served.directory)
        assert done.code == 0, done.err
        wait_for(client.off.is_set, "the end of the connection", PATIENCE_S)
