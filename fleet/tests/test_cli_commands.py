"""Commands on a fleet directory without a running service: what they print, in which format, with which exit code."""

import csv
import errno
import io
import json
import os
import re
import shutil
import stat
import tarfile
import time
from pathlib import Path

import pytest

from fleet import config as settings
from fleet.cli.output import FORMATS
from fleet.store import Store
from fleet.tests.cli_rig import add_nodes, make_fleet, run


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet that no test changes."""
    config = make_fleet(tmp_path_factory.mktemp("fleet") / "read")
    add_nodes(config)
    return config.directory


@pytest.fixture
def own(fleet: Path, tmp_path: Path) -> Path:
    """A copy of it for one test alone."""
    return shutil.copytree(fleet, tmp_path / "own")


EXIT_CODES = {
    "a fleet that is there": (["node", "list"], 0, None),
    "help": (["node", "list", "--help"], 0, None),
    "an unknown command": (["nodes"], 2, "usage"),
    "an unknown option": (["node", "list", "--colour"], 2, "usage"),
    "an unknown format": (["node", "list", "--output", "xml"], 2, "usage"),
    "a missing argument": (["node", "show"], 2, "usage"),
    "a filter that is no expression": (["node", "list", "--where", "kind="], 2, "usage"),
    "a filter over nothing": (["node", "list", "--where", "knid=air"], 2, "usage"),
    "a setting that does not exist": (["node", "config", "set", "air-1", "intervall=3"], 2, "usage"),
    "a value out of range": (["node", "config", "set", "air-1", "interval_s=0"], 2, "usage"),
    "a value of the wrong type": (["node", "config", "set", "air-1", "stats=7"], 2, "usage"),
    "no setting": (["node", "config", "set", "air-1"], 2, "usage"),
    "no node": (["node", "config", "set", "interval_s=7"], 2, "usage"),
    "a tag that the node reports": (["node", "set", "air-1", "version=2"], 2, "usage"),
    "a tag with a wrong name": (["node", "set", "air-1", "Site=2"], 2, "usage"),
    "a channel that does not exist": (["data", "show", "--channel", "pm2"], 2, "usage"),
    "a moment that is none": (["data", "export", "--since", "yesterday"], 2, "usage"),
    "a span that ends before it begins": (["data", "export", "--since", "1d", "--until", "2d"], 2, "usage"),
    "an argument given twice": (["node", "command", "lamp", "air-1", "a=1", "a=2"], 2, "usage"),
    "a command with too long a name": (["node", "command", "n" * 25, "air-1"], 2, "usage"),
    "what needs a yes and has no terminal": (["node", "retire", "air-1"], 2, "usage"),
    "a node that does not exist": (["node", "show", "air-9"], 3, "not-found"),
    "data of a node that does not exist": (["data", "export", "air-9"], 3, "not-found"),
    "a command to a retired node": (["node", "command", "identify", "old-1"], 4, "not-allowed"),
    "a configuration for a retired node": (["node", "config", "set", "old-1", "interval_s=5"], 4, "not-allowed"),
    "no answer in time": (["node", "command", "identify", "air-1", "--timeout", "0"], 8, "timed-out"),
    "no broker": (["node", "tail", "air-1", "--for", "5s"], 5, "unreachable"),
}


@pytest.mark.parametrize(("words", "code", "name"), EXIT_CODES.values(), ids=EXIT_CODES.keys())
def test_exit_codes(fleet: Path, words: list[str], code: int, name: str | None) -> None:
    options = ["--fleet", fleet] if len(words) > 1 else []
    found = run(*words, *options)
    assert found.code == code, found.err
    assert name is None or "Error: " in found.err
    assert "Traceback" not in found.err
    as_json = run(*words, *options, *([] if words[0] == "data" and words[1] == "export" else ["--json"]))
    assert as_json.code == code
    if name is not None and as_json.err.startswith("{"):
        assert as_json.error["code"] == name
        assert as_json.error["message"]
        assert {"code", "message", "hint"} <= as_json.error.keys() <= {"code", "message", "hint", "cause", "failed"}


def test_no_fleet_here(tmp_path: Path) -> None:
    found = run("node", "list", "--fleet", tmp_path)
    assert found.code == 3
    assert found.err.splitlines()[1].startswith("Hint: create one with `fleet init")


def test_the_fleet_comes_from_the_option_of_the_program_or_the_environment(
    fleet: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run("--fleet", fleet, "node", "list", "-o", "name").out.splitlines() == ["air-1", "air-2", "light-1"]
    monkeypatch.setenv("FLEET_DIR", str(fleet))
    assert run("node", "list").code == 0
    assert run("node", "list", "--fleet", tmp_path / "none").code == 3


RESULTS = {
    "node list": ("nodes", ["node", "list"]),
    "node show": ("node", ["node", "show", "air-1"]),
    "node config show": ("settings", ["node", "config", "show", "air-1"]),
    "node logs": ("logs", ["node", "logs", "air-1"]),
    "node set": ("nodes", ["node", "set", "air-1", "place=x", "--dry-run"]),
    "node retire": ("retired", ["node", "retire", "air-1", "--dry-run"]),
    "node config set": ("changes", ["node", "config", "set", "air-1", "interval_s=5", "--dry-run"]),
    "node command": ("commands", ["node", "command", "identify", "air-1", "--no-wait"]),
    "data show": ("values", ["data", "show"]),
    "doctor": ("checks", ["doctor", "--quick"]),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("key", "words"), RESULTS.values(), ids=RESULTS.keys())
def test_every_format(fleet: Path, key: str, words: list[str], form: str) -> None:
    found = run(*words, "-o", form, "--fleet", fleet)
    assert found.code == (1 if words[0] == "doctor" else 0)
    assert found.out.strip()
    assert "\033" not in found.out
    if form == "json":
        assert list(found.json) == ["schema_version", key]
    elif form == "yaml":
        assert found.out.startswith(f"schema_version: 1\n{key}:\n")
    elif form == "csv":
        rows = list(csv.reader(io.StringIO(found.out)))
        assert len({len(row) for row in rows}) == 1
        assert len(rows) > 1
    elif form == "name":
        assert all(" " not in line or words[0] == "doctor" for line in found.out.splitlines())
    assert form == "table" or found.err == ""


def test_list_as_a_person_sees_it(own: Path) -> None:
    said_to_run(own)
    found = run("node", "list", "--fleet", own)
    assert found.err == ""
    lines = found.out.splitlines()
    assert re.fullmatch(r"NODE +KIND +STATE +VERSION +CONFIG +SEEN +TAGS", lines[0])
    assert re.fullmatch(r"air-1 +air +online +1\.3\.10 +default +\d+ s +site=mitte", lines[1])
    assert re.fullmatch(r"air-2 +air +offline +1\.4\.0 +refused +2 h +site=wedding", lines[2])
    assert re.fullmatch(r"light-1 +light +never +- +default +- +-", lines[3])
    assert len(lines) == 4
    assert "old-1" in run("node", "list", "--all", "--fleet", own).out


def test_nobody_is_called_online_while_nobody_listens(fleet: Path) -> None:
    found = run("node", "list", "--all", "--fleet", fleet)
    assert [line.split()[2] for line in found.out.splitlines()[1:]] == ["unknown", "unknown", "never", "retired"]
    assert "`fleet serve` starts it" in found.err
    shown = run("node", "show", "air-1", "--json", "--fleet", fleet)
    assert shown.json["node"]["state"] == "unknown"
    assert shown.err == ""


def said_to_run(directory: Path) -> None:
    """As if the service had just written its figures."""
    with Store.open(settings.load(directory).store_url) as store:
        store.journal.add_figures(int(time.time() * 1000), {})


def test_filters(fleet: Path) -> None:
    def named(where: str) -> list[str]:
        return run("node", "list", "-o", "name", "--where", where, "--fleet", fleet).out.split()

    assert named("kind=air and site=mitte and version<1.4") == ["air-1"]
    assert named("seen>3600") == ["air-2"]
    assert named("not version") == ["light-1"]
    assert named("config_error") == ["air-2"]


def test_a_wrong_filter_is_pointed_at(fleet: Path) -> None:
    found = run("node", "list", "--where", "kind=air site=mitte", "--fleet", fleet)
    assert found.err.splitlines()[1:3] == ["  kind=air site=mitte", "           ^"]


def test_one_node_in_full(fleet: Path) -> None:
    node = run("node", "show", "air-1", "--json", "--fleet", fleet).json["node"]
    assert node["tags"] == {"site": "mitte"}
    assert node["boots"] == [{"boot": 29_000_000, "stored": 31, "missing": 0, "pruned": 0, "last_seq": 30}]
    assert node["events"][0]["event"] == "boot"
    assert node["events"][0]["attributes"] == {"firmware": "1.3.10", "cause": 1, "reason": "power"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", node["seen"])
    assert re.fullmatch(r"[0-9a-f]{64}", node["certificate_sha256"])
    text = run("node", "show", "air-1", "--fleet", fleet).out
    assert "cause=power-on, reason=power" in text
    assert "Recent commands" in text or "COMMAND" not in text


def test_values_are_exact_decimals_in_their_unit(fleet: Path) -> None:
    values = {row["channel"]: row for row in run("data", "show", "air-1", "--json", "--fleet", fleet).json["values"]}
    assert values["t_amb"]["value"] == 1.85
    assert values["t_amb"]["unit"] == "Cel"
    assert values["pm25"]["value"] == 12.9
    assert values["pm25"]["flag"] == "suspect"
    assert values["co2"]["value"] is None
    assert values["co2"]["flag"] == "missing"
    assert len(values["t_amb"]["trend"]) == 20
    rows = {
        row["channel"]: row
        for row in csv.DictReader(io.StringIO(run("data", "show", "-o", "csv", "--fleet", fleet).out))
    }
    assert rows["t_amb"]["value"] == "1.85"
    assert "▁" in run("data", "show", "--channel", "t_amb", "--fleet", fleet).out


def test_export_as_csv_and_as_json_lines(fleet: Path, tmp_path: Path) -> None:
    table = list(csv.DictReader(io.StringIO(run("data", "export", "air-1", "--fleet", fleet).out)))
    lines = [
        json.loads(line) for line in run("data", "export", "air-1", "-o", "jsonl", "--fleet", fleet).out.splitlines()
    ]
    assert len(table) == len(lines) == 90
    assert table[2]["value"] == "-1.05"
    assert table[2]["sd"] == "0.12"
    assert lines[2]["value"] == -1.05
    assert [{key: str(value) for key, value in line.items()} for line in lines if line["channel"] == "pm25"] == [
        {key: value for key, value in row.items() if value} for row in table if row["channel"] == "pm25"
    ]
    file = tmp_path / "some.csv"
    done = run("data", "export", "--channel", "pm25", "--since", "10min", "--to", file, "--fleet", fleet)
    assert done.out == ""
    assert 8 <= len(file.read_text().splitlines()) - 1 <= 10
    assert [path.name for path in tmp_path.iterdir()] == ["some.csv"]
    until = run("data", "export", "--until", table[0]["time"], "--fleet", fleet).out
    assert len(until.splitlines()) == 1
    assert run("data", "export", "--where", "kind=light", "--fleet", fleet).out.count("\n") == 1


def test_logs(fleet: Path) -> None:
    lines = run("node", "logs", "air-1", "-n", "2", "--fleet", fleet).out.splitlines()
    assert [line.split()[-2:] for line in lines[1:]] == [["line", "1"], ["line", "2"]]
    assert run("node", "logs", "light-1", "--fleet", fleet).err == "light-1 has sent no log lines yet.\n"


def test_tags(own: Path) -> None:
    run("node", "set", "air-1", "light-1", "street=Unter den Linden", "site=", "--fleet", own)
    nodes = {row["id"]: row["tags"] for row in run("node", "list", "--json", "--fleet", own).json["nodes"]}
    assert nodes["air-1"] == nodes["light-1"] == {"street": "Unter den Linden"}
    dry = run("node", "set", "--where", "street='Unter den Linden'", "street=x", "--dry-run", "--fleet", own)
    assert "street=x" in dry.out
    assert "dry run" in dry.err
    assert run("node", "list", "--where", "street=x", "-o", "name", "--fleet", own).out == ""


def test_configuration(own: Path) -> None:
    done = run("node", "config", "set", "air-1", "interval_s=30", "stats=on", "--json", "--fleet", own)
    assert done.json["changes"] == [
        {"node": "air-1", "setting": "interval_s", "before": 60, "after": 30, "rev": 1},
        {"node": "air-1", "setting": "stats", "before": False, "after": True, "rev": 1},
    ]
    again = run("node", "config", "set", "air-1", "interval_s=30", "--fleet", own)
    assert (again.code, again.out, again.err) == (0, "", "It is so already.\n")
    run("node", "config", "unset", "air-1", "interval_s", "--fleet", own)
    rows = {
        row["name"]: row for row in run("node", "config", "show", "air-1", "--json", "--fleet", own).json["settings"]
    }
    assert (rows["interval_s"]["value"], rows["interval_s"]["set"]) == (60, False)
    assert (rows["stats"]["value"], rows["stats"]["set"]) == (True, True)
    with Store.open(settings.load(own).store_url) as store:
        desired = store.configs.get("air-1")
    assert desired is not None
    assert (desired.rev, desired.values) == (2, {7: True})


def test_a_configuration_that_nobody_confirms(own: Path) -> None:
    done = run("node", "config", "set", "air-1", "interval_s=30", "--wait", "--timeout", "0", "--json", "--fleet", own)
    assert done.code == 8
    assert done.error["code"] == "timed-out"


def test_several_nodes_need_a_yes(own: Path) -> None:
    refused = run("node", "config", "set", "--where", "kind=air", "interval_s=31", "--fleet", own)
    assert refused.code == 2
    assert "add --yes" in refused.err
    done = run("node", "config", "set", "--where", "kind=air", "interval_s=31", "--yes", "-o", "name", "--fleet", own)
    assert done.out.split() == ["air-1", "air-2"]


def test_a_command_waits_in_the_database_for_the_service(own: Path) -> None:
    done = run(
        "node", "command", "lamp", "light-1", "level=50", "on=true", "mode=eco", "--no-wait", "--json", "--fleet", own
    )
    (command,) = done.json["commands"]
    assert command["args"] == {"level": 50, "on": True, "mode": "eco"}
    assert command["status"] == "waiting"
    shown = run("node", "show", "light-1", "--json", "--fleet", own).json["node"]["commands"]
    assert [row["id"] for row in shown] == [command["id"]]
    late = run("node", "command", "identify", "light-1", "--timeout", "0", "--fleet", own)
    assert "The service does not run" in late.err


def test_a_dry_run_of_a_command_says_who_would_get_it(own: Path) -> None:
    words = ("node", "command", "ping", "air-1", "light-1", "--dry-run", "--fleet", own)
    rows = run(*words, "--json").json["commands"]
    assert [(row["node"], row["status"], row["id"]) for row in rows] == [("air-1", "-", ""), ("light-1", "-", "")]
    assert "this was a dry run" in run(*words).err
    with Store.open(settings.load(own).store_url) as store:
        assert "ping" not in [command.name for command in store.commands.of("air-1", limit=100)]


def test_retiring(own: Path) -> None:
    assert run("node", "retire", "air-1", "air-2", "--yes", "-o", "name", "--fleet", own).out.split() == [
        "air-1",
        "air-2",
    ]
    assert run("node", "list", "-o", "name", "--fleet", own).out.split() == ["light-1"]
    again = run("node", "retire", "air-1", "--yes", "--fleet", own)
    assert again.code == 4
    assert "air-1" not in (own / "broker" / "nats.conf").read_text()


def test_a_backup_is_a_whole_fleet(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup.tar.gz"
    made = run("backup", target, "--json", "--fleet", own).json["backup"]
    assert made["records"] == 30
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert run("backup", target, "--fleet", own).code == 4
    restored = tmp_path / "restored"
    with tarfile.open(target) as archive:
        archive.extractall(restored, filter="data")
    assert run("init", restored).code == 0
    before = run("node", "list", "--json", "--fleet", own).json
    assert run("node", "list", "--json", "--fleet", restored).json == before
    assert run("data", "export", "--fleet", restored).out == run("data", "export", "--fleet", own).out


def test_init_says_what_it_makes_and_makes_it_once(tmp_path: Path) -> None:
    place = tmp_path / "new"
    dry = run("init", place, "--dry-run", "--json")
    assert dry.json["made"][0]["path"] == str(place / "fleet.toml")
    assert not place.exists()
    made = run("init", place, "--port", "18883", "--set", "store.raw_days=90", "--set", "broker.sync=30s")
    assert made.code == 0
    assert f"Next: fleet serve --fleet {place}" in made.err
    config = settings.load(place)
    assert (config.broker.port, config.store.raw_days, config.broker.sync) == (18883, 90, "30s")
    again = run("init", place)
    assert (again.code, again.out) == (0, "")
    assert "complete already" in again.err
    assert run("init", place, "--port", "1").code == 2
    assert run("init", place, "--set", "port=1").code == 2
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    assert run("init", tmp_path / "other").code == 4


def test_a_terminal_gets_colour_and_lines_that_fit(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said_to_run(own)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    shown = run("node", "list", "--fleet", own, tty=True).out
    assert "\033[32monline" in shown
    plain = re.sub(r"\033\[[0-9;]*m", "", shown)
    assert all(len(line) <= 60 for line in plain.splitlines())
    for name in ("NO_COLOR", "CI"):
        monkeypatch.setenv(name, "1")
        assert "\033" not in run("node", "list", "--fleet", own, tty=True).out
        assert "\033" not in run("node", "list", "--fleet", own / "none", tty=True).err
        monkeypatch.delenv(name)


def test_what_is_piped_is_never_cut(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert "site=wedding" in run("node", "list", "--fleet", fleet).out


def test_ctrl_c(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fleet.nodes.select", interrupt)
    found = run("node", "list", "--json", "--fleet", fleet)
    assert found.code == 130
    assert found.error["code"] == "interrupted"


def test_a_file_that_may_not_be_read(own: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root may read everything")
    (own / "fleet.toml").chmod(0)
    assert run("node", "list", "--fleet", own).code == 4
    own.chmod(0)
    try:
        assert run("node", "list", "--fleet", own).code == 4
    finally:
        own.chmod(0o700)


def test_the_fleet_of_somebody_else(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "open", refuse)
    found = run("node", "list", "--json", "--fleet", fleet)
    assert (found.code, found.error["code"]) == (4, "not-allowed")
    assert "as its owner" in found.error["hint"]
