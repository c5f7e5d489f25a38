"""The broker as a child: it comes back, it obeys, it keeps what it took, and it never stays behind."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import fleet
from fleet.broker import binary, control, nats
from fleet.broker.process import BrokerProcess, Dialect
from fleet.errors import FleetError, NotFoundError, UnreachableError
from fleet.tests.rig import NATS, Rig, wait_for


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig.create(tmp_path)
    made.add("pole-1")
    return made


def gone(pid: int) -> bool:
    """No such process, or one that is dead and not yet collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_killed_broker_comes_back_with_every_message_that_it_acknowledged(rig: Rig) -> None:
    with rig.running(NATS) as broker:
        with rig.client("service", "service-secret", clean=False) as service:
            assert service.subscribe("lum/1/+/up/#") == 1
        with rig.client("pole-1") as node:
            for number in range(50):
                node.publish("lum/1/pole-1/up/tele", b"%d" % number)
            node.publish("lum/1/pole-1/up/state", b"on", retain=True)
            first = broker.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            wait_for(node.off.is_set, "the end of the connection")
        wait_for(lambda: broker.alive and broker.pid != first, "the next broker")
        assert broker.restarts == 1
        with rig.client("service", "service-secret", clean=False) as service:
            assert service.session_present
            wait_for(lambda: len(service.messages) >= 51, "what was queued")
            assert {payload for _, payload in service.messages} == {b"on", *(b"%d" % number for number in range(50))}
        with rig.client("operator") as operator:
            operator.subscribe("lum/1/+/up/state")
            wait_for(lambda: operator.got(b"on"), "what was retained")


def test_a_full_broker_acknowledges_nothing_and_with_more_room_gives_back_everything(rig: Rig) -> None:
    roomy = rig.config
    rig.config = replace(roomy, broker=replace(roomy.broker, max_disk_mb=1))
    sent: set[bytes] = set()
    with rig.running(NATS) as broker:
        with rig.client("service", "service-secret", clean=False) as service:
            service.subscribe("lum/1/+/up/#")
        with rig.client("pole-1") as node:
            for number in range(1000):
                payload = b"%04d" % number + bytes(4000)
                node.send("lum/1/pole-1/up/tele", payload)
                wait_for(lambda: node.unacknowledged == 0 or node.off.is_set(), "PUBACK or the end")
                if node.off.is_set():
                    break
                sent.add(payload)
        assert broker.alarms["full"] > 0
        assert 100 < len(sent) < 300
    rig.config = roomy
    with rig.running(NATS), rig.client("service", "service-secret", clean=False) as service:
        wait_for(lambda: len(service.messages) >= len(sent), "what was acknowledged")
        assert {payload for _, payload in service.messages} >= sent


def test_refusals_strangers_and_takeovers_are_counted_and_told(rig: Rig) -> None:
    told: list[str] = []
    rig.apply()
    dialect = nats.dialect(binary.find().path, rig.config)
    broker = BrokerProcess(
        dialect, rig.config.broker_dir, control.log_file(rig.config), on_alarm=lambda kind, _: told.append(kind)
    )
    broker.start()
    try:
        broker.wait_ready()
        with rig.client("pole-1") as node, rig.client("pole-1") as again:
            again.publish("lum/1/pole-2/up/tele", b"")
            again.subscribe("#")
            wait_for(node.off.is_set, "the end of the first connection")
        rig.assert_refused(None)
        wait_for(lambda: broker.alarms == {"takeover": 1, "refused": 2, "stranger": 1}, "the alarms")
        assert sorted(told) == ["refused", "refused", "stranger", "takeover"]
    finally:
        broker.stop()


def test_a_broken_configuration_is_refused_and_the_old_one_stays(rig: Rig) -> None:
    with rig.running(NATS) as broker:
        path = rig.config.broker_dir / nats.CONFIG_NAME
        fine = path.read_text()
        path.write_text(fine + "\nnonsense {")
        with pytest.raises(FleetError, match="refuses its new configuration"):
            broker.reload()
        with pytest.raises(FleetError, match="refuses its new configuration"):
            control.reload(rig.config)
        with rig.client("pole-1") as node:
            assert node.reason == "Success"
        path.write_text(fine)
        broker.reload()


def test_a_broker_that_cannot_start_says_why(rig: Rig) -> None:
    rig.apply()
    (rig.config.certs_dir / "server.key").unlink()
    broker = BrokerProcess(
        nats.dialect(binary.find().path, rig.config), rig.config.broker_dir, control.log_file(rig.config)
    )
    broker.start()
    try:
        with pytest.raises(UnreachableError) as caught:
            broker.wait_ready()
        assert "server.key" in caught.value.cause
        assert str(control.log_file(rig.config)) in caught.value.hint
    finally:
        broker.stop()


def test_a_running_broker_can_be_told_from_another_process(rig: Rig) -> None:
    rig.apply()
    assert control.reload(rig.config) is False
    with rig.running(NATS):
        assert control.reload(rig.config) is True
    assert control.reload(rig.config) is False


def test_a_broker_ends_with_a_killed_parent_and_the_next_one_finds_everything_free(rig: Rig) -> None:
    rig.apply()
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from fleet import config
        from fleet.broker import binary, control, nats
        from fleet.broker.process import BrokerProcess
        found = config.parse({"broker": {"port": int(sys.argv[2]), "listen": "127.0.0.1"}}, Path(sys.argv[1]))
        broker = BrokerProcess(nats.dialect(binary.find().path, found), found.broker_dir, control.log_file(found))
        broker.start()
        broker.wait_ready()
        print(broker.pid, flush=True)
        time.sleep(600)
    """)
    command = (sys.executable, "-c", script, str(rig.config.directory), str(rig.config.broker.port))
    root = Path(fleet.__file__).parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.kill()
        parent.wait()
    with rig.running(NATS) as broker:
        assert broker.starts == 1
        assert gone(child)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[list[BrokerProcess]]:
    """Children that are no brokers; all end with the test."""
    made: list[BrokerProcess] = []
    yield made
    for each in made:
        each.stop()


def play(script: str, directory: Path, made: list[BrokerProcess]) -> BrokerProcess:
    dialect = Dialect(
        command=("/bin/sh", "-c", script),
        ready=re.compile("READY"),
        reloaded=re.compile("RELOADED"),
        failed=re.compile(r"FATAL.*|\[FTL\].*"),
        alarms={},
    )
    broker = BrokerProcess(dialect, directory, directory / "log")
    made.append(broker)
    broker.start()
    return broker


def test_two_brokers_never_share_a_directory(
    tmp_path: Path, shell: list[BrokerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = play("echo READY; exec sleep 60", tmp_path, shell)
    first.wait_ready()
    second = play("echo READY; exec sleep 60", tmp_path, shell)
    wait_for(lambda: second.pid is not None, "the second")
    time.sleep(0.3)  # nothing to wait for: it must not become ready
    assert not second.alive
    first.stop()
    second.wait_ready()


def test_a_broker_that_keeps_ending_is_given_up_by_the_waiter_but_not_by_its_owner(
    tmp_path: Path, shell: list[BrokerProcess]
) -> None:
    broker = play("echo FATAL: no disk; exit 1", tmp_path, shell)
    with pytest.raises(UnreachableError) as caught:
        broker.wait_ready()
    assert caught.value.cause == "FATAL: no disk"
    starts = broker.starts
    wait_for(lambda: broker.starts > starts, "one more attempt")


def test_a_broker_that_does_not_listen_is_killed(
    tmp_path: Path, shell: list[BrokerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.broker.process.STOP_S", 0.2)
    broker = play("trap '' TERM; echo READY; while :; do sleep 0.05; done", tmp_path, shell)
    broker.wait_ready()
    pid = broker.pid
    assert pid is not None
    broker.stop()
    assert gone(pid)


def test_endless_lines_and_bytes_that_are_no_text_do_no_harm(tmp_path: Path, shell: list[BrokerProcess]) -> None:
    broker = play(
        "head -c 100000 /dev/zero | tr '\\0' x; printf '\\377\\n'; echo READY; exec sleep 60", tmp_path, shell
    )
    broker.wait_ready()
    assert max(len(line) for line in (tmp_path / "log").read_text().splitlines()) <= 2000


def test_the_program_is_found_and_identified() -> None:
    found = binary.find()
    assert re.fullmatch(r"2\.\d+\.\d+", found.version)
    assert re.fullmatch(r"[0-9a-f]{64}", found.sha256())


# sentence: (what the program prints for --version, part of the error)
PROGRAMS = {
    "an old version": ("nats-server: v2.15.0", "at least 2.15.1"),
    "a much older one": ("nats-server: v2.9.25", "at least 2.15.1"),
    "a version before its release": ("nats-server: v2.15.1-RC.2", "at least 2.15.1"),
    "another program": ("mosquitto version 2.0.11", "FLEET_NATS_SERVER"),
}


@pytest.mark.parametrize("sentence", PROGRAMS)
def test_refused_program(sentence: str, tmp_path: Path) -> None:
    said, hint = PROGRAMS[sentence]
    path = tmp_path / "nats-server"
    path.write_text(f"#!/bin/sh\necho {said}\n")
    path.chmod(0o755)
    with pytest.raises(FleetError) as caught:
        binary.find(str(path))
    assert hint in caught.value.hint


def test_a_program_that_does_not_exist_or_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        binary.find(str(tmp_path / "nowhere"))
    (tmp_path / "text").write_text("no program")
    with pytest.raises(FleetError, match="does not run"):
        binary.find(str(tmp_path / "text"))
