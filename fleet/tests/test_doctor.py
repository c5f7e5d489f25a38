"""`fleet doctor`: each thing that can be wrong is found, named, and comes with a next step."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet import config as settings
from fleet import doctor, pki
from fleet.boards.unfinished import Note, Unfinished
from fleet.doctor import FAIL, OK, WARN
from fleet.model import TQ_AHEAD
from fleet.store import Store, dialect
from fleet.store.audit import Act
from fleet.store.intake import Rows
from fleet.tests.cli_rig import add_nodes, make_fleet, run
from protocol.records import Record, Sample

NOW = int(time.time())
YEAR_S = 365 * 86400


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = make_fleet(tmp_path_factory.mktemp("doctor") / "fleet")
    add_nodes(config, NOW)
    return config.directory


@pytest.fixture
def fleet(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "fleet")


def found(fleet: Path, now_s: int = NOW, override: str | None = None) -> dict[str, doctor.Finding]:
    return {finding.check: finding for finding in doctor.examine(fleet, override, now_s)}


def test_a_fleet_that_is_at_rest(fleet: Path) -> None:
    findings = found(fleet)
    assert {check: finding.status for check, finding in findings.items() if finding.status != OK} == {
        "root of trust": WARN,
        "service": FAIL,
        "broker": FAIL,
        "nodes": WARN,
        "configuration": WARN,
    }
    assert findings["service"].hint == "start it: fleet serve"
    assert findings["broker program"].text.startswith("nats-server 2.")
    assert len(findings["broker program"].text.rpartition("sha256 ")[2]) == 64
    assert findings["nodes"].text == "2 unknown, 1 never; air-2 silent for more than 15 min"
    assert findings["configuration"].hint == "fleet node config show air-2"


def test_nodes_whose_board_may_lack_its_key_are_named(fleet: Path) -> None:
    notes = Unfinished(fleet)
    for node in ("air-1", "old-1", "never-made"):
        notes.begin(Note(node, "240ac4000001", "/dev/ttyUSB0", NOW))
    finding = found(fleet)["provisioning"]
    assert (finding.status, finding.text.split()[0]) == (WARN, "air-1")
    assert "fleet board provision air-1" in finding.hint


def test_no_fleet_ends_it(tmp_path: Path) -> None:
    (finding,) = doctor.examine(tmp_path, None, NOW)
    assert (finding.check, finding.status) == ("fleet", FAIL)
    assert "fleet init" in finding.hint


def _loosen(fleet: Path) -> None:
    (fleet / "ca" / "ca.key").chmod(0o640)


def _foreign(fleet: Path) -> None:
    other = pki.Authority.create("other", 100, NOW).issue_client("operator.fleet", 100, NOW)
    (fleet / "certs" / "operator.pem").write_bytes(other.cert_pem)


def _rubbish(fleet: Path) -> None:
    (fleet / "certs" / "server.pem").write_text("-")


def _unmade(fleet: Path) -> None:
    (fleet / "fleet.db").unlink()
    shutil.rmtree(fleet / "fleet.db-wal", ignore_errors=True)


def _corrupt(fleet: Path) -> None:
    with (fleet / "fleet.db").open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192)


def _refuse(fleet: Path) -> None:
    with Store.open(fleet / "fleet.db") as store:
        intake = store.intake()
        intake.write(Rows(letters=[("lum/1/air-1/up/tele", b"x", "Batch is not a map", NOW * 1000)] * 3))
        intake.close()


def _future(fleet: Path) -> None:
    with Store.open(fleet / "fleet.db") as store:
        intake = store.intake()
        intake.write(Rows(seen={store.nodes.keys()["air-1"]: (NOW + 3600) * 1000}))
        intake.close()


def _early_record(fleet: Path) -> None:
    with Store.open(fleet / "fleet.db") as store:
        key = store.nodes.keys()["air-1"]
        record = (key, NOW + 600, 1, 1, 4, 60, b"", NOW * 1000)
        intake = store.intake()
        intake.write(Rows(records=[record], latest={key: (*record[:6], {2: 1}, record[7])}))
        intake.close()


BROKEN: dict[str, tuple[Callable[[Path], None], str, str, str]] = {
    "a key that others may read": (_loosen, "files", FAIL, "chmod go="),
    "a certificate of another authority": (_foreign, "certificate operator", FAIL, "fleet init"),
    "a certificate that is none": (_rubbish, "certificates", FAIL, ""),
    "a database that is not there": (_unmade, "database", FAIL, "fleet serve"),
    "a database that is broken": (_corrupt, "database", FAIL, "backup"),
    "messages that were refused": (_refuse, "refused messages", WARN, "lum/1/air-1/up/tele"),
    "a clock that was set back": (_future, "clock", WARN, "timedatectl"),
    "records from the future": (_early_record, "clock", WARN, "timedatectl"),
}


@pytest.mark.parametrize(("harm", "check", "status", "hint"), BROKEN.values(), ids=BROKEN.keys())
def test_finds(fleet: Path, harm: Callable[[Path], None], check: str, status: str, hint: str) -> None:
    harm(fleet)
    finding = found(fleet)[check]
    assert finding.status == status
    assert hint in finding.hint
    assert finding.text


def test_certificates_that_end(fleet: Path) -> None:
    soon = found(fleet, NOW + 10 * YEAR_S - 30 * 86400)
    assert soon["certificate service"].status == WARN
    assert soon["node certificates"].status == WARN
    assert soon["certificate ca"].status == OK
    late = found(fleet, NOW + 10 * YEAR_S + 30 * 86400)
    assert late["certificate service"].status == FAIL
    assert "fleet init" in late["certificate service"].hint


def test_a_clock_before_the_fleet_was_made(fleet: Path) -> None:
    findings = found(fleet, NOW - YEAR_S)
    assert findings["clock"].status == FAIL
    assert findings["certificate ca"].hint == "set this machine's clock"


@pytest.mark.parametrize(("free", "status"), [(100 << 20, FAIL), (1 << 30, WARN), (1 << 40, OK)])
def test_room_on_the_disk(fleet: Path, free: int, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2 << 40, 0, free))
    assert found(fleet)["disk"].status == status


def test_a_broker_program_that_is_none(fleet: Path) -> None:
    finding = found(fleet, override="/bin/true")["broker program"]
    assert finding.status == FAIL
    assert "FLEET_NATS_SERVER" in finding.hint


def test_a_service_that_runs(fleet: Path) -> None:
    with Store.open(settings.load(fleet).store_url) as store:
        store.journal.add_figures((NOW - 2) * 1000, {})
    assert found(fleet)["service"].status == OK
    with Store.open(settings.load(fleet).store_url) as store:
        figures = {"database_fault": "the disk is full", "broker_alarms": {"violation": 3}}
        store.journal.add_figures((NOW - 1) * 1000, figures)
    findings = found(fleet)
    assert findings["service"].text == "runs, but the disk is full"
    assert (findings["broker alarms"].status, findings["broker alarms"].text) == (WARN, "violation (3)")
    assert found(fleet, NOW + 60)["service"].text == "does not run, last seen 61 s ago"


def test_on_the_command_line(fleet: Path) -> None:
    text = run("doctor", "--fleet", fleet)
    assert text.code == 1
    assert "FAIL  service" in text.out
    assert "-> start it: fleet serve" in text.out
    checks = run("doctor", "--quick", "--json", "--fleet", fleet).json["checks"]
    assert {row["status"] for row in checks} == {OK, WARN, FAIL}
    assert "not read through" in json.dumps(checks)


def test_a_name_of_the_broker_that_its_certificate_does_not_hold(fleet: Path) -> None:
    assert found(fleet)["certificate server"].status == OK
    file = fleet / settings.FILE
    file.write_text(file.read_text().replace("#names = []", 'names = ["127.0.0.1", "mqtt.example.org", "10.0.0.9"]'))
    finding = found(fleet)["certificate server"]
    assert finding.status == WARN
    assert "mqtt.example.org, 10.0.0.9" in finding.text
    for suffix in ("pem", "key"):
        (fleet / "certs" / f"server.{suffix}").unlink()
    assert "fleet init" in finding.hint
    run("init", fleet)
    assert found(fleet)["certificate server"].status == OK


def test_a_node_that_dates_its_records_in_the_future_is_named(fleet: Path) -> None:
    with Store.open(fleet / "fleet.db") as store:
        (key,) = [key for node, key in store.nodes.keys().items() if node == "air-1"]
        intake = store.intake()
        intake.write(
            Rows(
                latest={key: (key, NOW, 1, 9, TQ_AHEAD, 60, {1: 1}, NOW * 1000)},
                records=[(key, NOW, 1, 9, TQ_AHEAD, 60, Record(9, 1 << 31, 4, {1: Sample(1)}).encode(), NOW * 1000)],
            )
        )
        intake.close()
    assert found(fleet)["clock"].status == WARN
    assert "air-1" in found(fleet)["clock"].text


def test_an_audit_log_that_somebody_changed(fleet: Path) -> None:
    with Store.open(settings.load(fleet).store_url) as store:
        store.audit.append(Act(NOW, "ops@desk", "halt", "rollout 1", "a doubt"))
        assert found(fleet)["audit log"].status == OK
        with dialect.writing(store._engine) as connection:
            connection.exec_driver_sql("UPDATE audit SET actor = 'me'")
    finding = found(fleet)["audit log"]
    assert (finding.status, "was changed" in finding.text) == (FAIL, True)
