"""`fleet key`: from no key at all to a rotated root, as people and scripts do it; and what is refused on the way."""

import io
import json
import stat
import tarfile
import time
from pathlib import Path

import pytest

from fleet import backup, doctor, setup, signing
from fleet.cli import key_options
from fleet.config import Config
from fleet.signing import make, publish
from fleet.store import Store
from fleet.tests.cli_rig import Screen, run
from fleet.tests.signing_rig import public

WORDS = "correct horse battery"
DAY_S = 86400


@pytest.fixture
def fleet(tmp_path: Path) -> Config:
    plan = setup.plan(tmp_path / "fleet")
    plan.carry_out()
    return plan.config


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "pass.txt"
    path.write_text(f"{WORDS}\nsecond line\n")
    return path


@pytest.fixture
def stick(fleet: Config, tmp_path: Path) -> Path:
    """Root 1 of a small fleet, its keys not encrypted."""
    made = run("key", "init", "--fleet", fleet.directory, "--out", tmp_path / "stick", "--no-passphrase")
    assert made.code == 0, made.err
    return tmp_path / "stick"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ---- Making keys


def test_a_key_is_made_without_a_fleet(tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = run("key", "create", "build-anna", "--passphrase-file", secret, "--json")
    assert made.code == 0
    (row,) = made.json["keys"]
    assert (row["name"], row["path"], row["public"]) == ("build-anna", "build-anna.pem", "build-anna.pub")
    assert mode(tmp_path / "build-anna.pem") == 0o600
    assert b"ENCRYPTED" in (tmp_path / "build-anna.pem").read_bytes()
    signer = signing.pem_signer(tmp_path / "build-anna.pem", WORDS.encode())
    assert signing.load_public(tmp_path / "build-anna.pub").public == signer.public
    assert run("key", "create", "build-anna", "--passphrase-file", secret).code == 4


def test_a_dry_run_makes_no_key(tmp_path: Path) -> None:
    made = run("key", "create", "anna", "--out", tmp_path / "anna.pem", "--dry-run")
    assert (made.code, list(tmp_path.iterdir())) == (0, [])
    assert "dry run" in made.err


def test_the_passphrase_comes_from_the_environment_or_from_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run("key", "create", "anna", "--out", tmp_path / "anna.pem", "--json")
    assert (refused.code, refused.error["code"]) == (2, "usage")
    assert "--passphrase-file" in refused.error["hint"]
    monkeypatch.setenv(key_options.VARIABLE, "short")
    refused = run("key", "create", "anna", "--out", tmp_path / "anna.pem")
    assert refused.code == 2
    assert "short" not in refused.err
    monkeypatch.setenv(key_options.VARIABLE, WORDS)
    assert run("key", "create", "anna", "--out", tmp_path / "anna.pem").code == 0
    assert signing.pem_signer(tmp_path / "anna.pem", WORDS.encode()).note == ""


def test_a_person_is_asked_and_sees_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [WORDS, WORDS]
    monkeypatch.setattr("sys.stdin", Screen())
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: answers.pop(0))
    made = run("key", "create", "anna", "--out", tmp_path / "anna.pem")
    assert (made.code, answers) == (0, [])
    assert WORDS not in made.out + made.err
    assert signing.pem_signer(tmp_path / "anna.pem", WORDS.encode()).note == ""


def test_the_passphrase_comes_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{WORDS}\n".encode())))
    assert run("key", "create", "anna", "--out", tmp_path / "anna.pem", "--passphrase-file", "-").code == 0
    assert signing.pem_signer(tmp_path / "anna.pem", WORDS.encode()).note == ""


@pytest.mark.parametrize("name", ["", "a b", "../anna", "-x", "a" * 33])
def test_a_key_cannot_be_called(tmp_path: Path, name: str) -> None:
    assert run("key", "create", "--out", tmp_path / "x.pem", "--no-passphrase", "--", name).code == 2


# ---- A small fleet


def test_a_small_fleet_has_its_root_with_one_command(fleet: Config, tmp_path: Path, secret: Path) -> None:
    where = tmp_path / "stick"
    command = ("key", "init", "--fleet", fleet.directory, "--out", where, "--passphrase-file", secret)
    dry = run(*command, "--dry-run")
    assert (dry.code, where.exists(), signing.roots(fleet).version) == (0, False, 0)
    made = run(*command, "--require", "light=bench", "--recovery", "a.example:8883", "--recovery-after", "2h", "--json")
    assert made.code == 0
    assert [row["name"] for row in made.json["keys"]] == ["root", "build", "bench"]
    assert [mode(where / f"{name}.pem") for name in ("root", "build", "bench")] == [0o600] * 3
    root = signing.roots(fleet).current
    assert (root.recovery, root.recovery_s) == (["a.example:8883"], 7200)
    assert [product.roles for product in root.products] == [["build", "bench"]]
    listed = run("key", "list", "--fleet", fleet.directory, "--json").json["keys"]
    assert [(row["role"], row["name"], row["online"], row["report"]) for row in listed] == [
        ("root", "root", False, False),
        ("build", "build", False, False),
        ("campaign", "online", True, False),
        ("bench", "bench", False, True),
    ]
    again = run(*command)
    assert (again.code, "has a root already" in again.err) == (4, True)
    assert not list(fleet.keys_dir.glob("*.pem"))


def test_offline_keys_are_not_made_in_the_fleet(fleet: Config) -> None:
    refused = run("key", "init", "--fleet", fleet.directory, "--out", fleet.keys_dir / "offline", "--no-passphrase")
    assert refused.code == 4
    assert not (fleet.keys_dir / "offline").exists()


def test_no_key_is_made_when_one_of_them_is_there(fleet: Config, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "bench.pub").write_text("")
    refused = run("key", "init", "--fleet", fleet.directory, "--out", tmp_path / "stick", "--no-passphrase")
    assert refused.code == 4
    assert [path.name for path in (tmp_path / "stick").iterdir()] == ["bench.pub"]


def test_a_fleet_without_a_root_says_so(fleet: Config) -> None:
    listed = run("key", "list", "--fleet", fleet.directory)
    assert (listed.code, listed.out) == (0, "")
    assert "fleet key init" in listed.err
    assert run("key", "list", "--fleet", fleet.directory, "--json").json["keys"] == []
    assert run("key", "show", "--fleet", fleet.directory).code == 3


# ---- Several people, several machines


def test_a_root_is_rotated_by_people_on_other_machines(fleet: Config, stick: Path, tmp_path: Path) -> None:
    at = ("--fleet", fleet.directory)
    away = ("--fleet", tmp_path / "no-fleet-here")
    for name in ("anna", "ci"):
        assert run("key", "create", name, "--out", tmp_path / f"{name}.pem", "--no-passphrase").code == 0
    draft = tmp_path / "root-2.draft"
    words = ["--add", f"root={tmp_path / 'anna.pub'}", "--threshold", "root=2", "--remove", "build"]
    words += ["--add", f"build={tmp_path / 'ci.pub'}", "--new-online-key"]
    dry = run("key", "draft", draft, *words, *at, "--dry-run", "--json")
    assert [row["what"] for row in dry.json["changes"]] == ["role root", "role build", "role campaign"]
    assert not draft.exists()
    assert not (fleet.keys_dir / "anna.pub").exists()
    assert run("key", "draft", draft, *words, *at).code == 0
    assert run("key", "draft", draft, *words, *at).code == 2
    unsigned = run("key", "publish", draft, *at, "--yes", "--json")
    assert (unsigned.code, unsigned.error["code"]) == (7, "verification")
    copy = tmp_path / "copy.draft"
    copy.write_bytes(draft.read_bytes())
    assert run("key", "sign", draft, "--key", stick / "root.pem", *away).code == 2  # nobody to ask
    assert run("key", "sign", draft, "--key", stick / "root.pem", *away, "--yes").code == 0
    one = run("key", "publish", draft, *at, "--yes", "--json")
    assert (one.code, one.error["cause"]) == (7, "role root has 1 of 2 signatures")
    signed = run("key", "sign", copy, "--key", tmp_path / "anna.pem", *away, "--yes", "--json")
    assert [row["holds"] for row in signed.json["root"]["signatures"]] == [True]
    before = publish.online_key(fleet)
    done = run("key", "publish", draft, copy, *at, "--yes", "--json")
    assert done.json["published"]["version"] == 2
    assert done.json["published"]["new_online_key"]
    shown = run("key", "show", *at, "--json").json["root"]
    assert (shown["version"], shown["state"]) == (2, "in force")
    assert [row["by"] for row in shown["signatures"]] == ["the root before, this root", "this root"]
    assert publish.online_key(fleet) != before
    assert publish.is_online(signing.roots(fleet).current, publish.online_key(fleet))
    assert run("key", "show", stick.parent / "root-2.draft", *at, "--json").json["root"]["state"] == "in force"


def test_a_draft_that_was_tampered_with_is_neither_signed_nor_published(
    fleet: Config, stick: Path, tmp_path: Path
) -> None:
    at = ("--fleet", fleet.directory)
    draft = tmp_path / "root-2.draft"
    assert run("key", "draft", draft, *at).code == 0
    assert run("key", "sign", draft, "--key", stick / "root.pem", *at, "--yes").code == 0
    data = draft.read_bytes()
    expires = signing.roots(fleet).current.expires.to_bytes(4, "big")
    tampered = data.replace(expires[:3], bytes([expires[0], expires[1], expires[2] ^ 1]))
    assert tampered != data
    draft.write_bytes(tampered)
    for command in (("publish", draft), ("sign", draft, "--key", stick / "root.pem")):
        refused = run("key", *command, *at, "--yes")
        assert refused.code == 7, refused.err
    assert "NO" in run("key", "show", draft, *at).out
    draft.write_bytes(b"no draft")
    assert run("key", "show", draft, *at).code == 7


def test_a_key_that_is_of_no_use_is_told(fleet: Config, stick: Path, tmp_path: Path) -> None:
    at = ("--fleet", fleet.directory)
    draft = tmp_path / "root-2.draft"
    assert run("key", "draft", draft, *at).code == 0
    assert run("key", "sign", draft, "--key", stick / "build.pem", *at, "--yes", "--dry-run").code == 0
    signed = run("key", "sign", draft, "--key", stick / "build.pem", *at, "--yes")
    assert "is no root key of this draft" in signed.err
    assert "not encrypted" in signed.err
    shown = run("key", "show", draft, *at, "--json").json["root"]
    assert (shown["state"], shown["lacks"]) == ("draft", "role root has 0 of 1 signatures")


def test_what_a_root_brings_about_is_told_before_it_is_published(fleet: Config, stick: Path, tmp_path: Path) -> None:
    at = ("--fleet", fleet.directory)
    public("stranger").save(tmp_path / "s.pub")
    draft = tmp_path / "root-2.draft"
    words = ["--remove", "build", "--add", f"build={tmp_path / 's.pub'}"]
    words += ["--remove", "campaign=online", "--add", f"campaign={tmp_path / 'c.pub'}"]
    public("campaign").save(tmp_path / "c.pub")
    assert run("key", "draft", draft, *words, *at).code == 0
    assert run("key", "sign", draft, "--key", stick / "root.pem", *at, "--yes").code == 0
    told = run("key", "publish", draft, *at, "--dry-run").err
    assert "the service could order no update" in told
    assert "forget which older releases they refuse" in told
    assert signing.roots(fleet).version == 1


WRONG = {
    "a key that nobody has": (["--remove", "nobody"], 3),
    "a number that is too short": (["--remove", "a"], 3),
    "a key of another role": (["--remove", "root=build"], 3),
    "a file that is not there": (["--add", "build=nowhere.pub"], 3),
    "a key without a role": (["--add", "anna.pub"], 2),
    "a threshold that is no number": (["--threshold", "root=two"], 2),
    "a threshold beyond its keys": (["--threshold", "root=2"], 2),
    "another product": (["--require", "water=bench"], 2),
    "a role that is unknown": (["--report", "night"], 3),
}


@pytest.mark.parametrize(("words", "code"), WRONG.values(), ids=WRONG.keys())
def test_a_draft_cannot_have(fleet: Config, stick: Path, tmp_path: Path, words: list[str], code: int) -> None:
    draft = tmp_path / "root-2.draft"
    refused = run("key", "draft", draft, *words, "--fleet", fleet.directory, "--json")
    assert (refused.code, draft.exists()) == (code, False)
    assert refused.error["message"]


def test_recovery_brokers_come_stay_and_go(fleet: Config, stick: Path, tmp_path: Path) -> None:
    at = ("--fleet", fleet.directory)
    found = []
    for number, words in enumerate((["--recovery", "a:1", "--recovery", "b:2"], [], ["--recovery", ""]), 2):
        draft = tmp_path / f"root-{number}.draft"
        assert run("key", "draft", draft, *words, *at).code == 0
        assert run("key", "sign", draft, "--key", stick / "root.pem", *at, "--yes").code == 0
        assert run("key", "publish", draft, *at, "--yes").code == 0
        found.append(signing.roots(fleet).current.recovery)
    assert found == [["a:1", "b:2"], ["a:1", "b:2"], []]


def test_a_wrong_passphrase_is_refused_and_never_told(fleet: Config, tmp_path: Path, secret: Path) -> None:
    at = ("--fleet", fleet.directory)
    assert run("key", "init", *at, "--out", tmp_path / "stick", "--passphrase-file", secret).code == 0
    draft = tmp_path / "root-2.draft"
    assert run("key", "draft", draft, *at).code == 0
    secret.write_text("hunter2 is my other one\n")
    key = ("--key", tmp_path / "stick" / "root.pem", "--passphrase-file", secret)
    refused = run("key", "sign", draft, *key, *at, "--yes", "--json")
    assert refused.code == 7
    assert "hunter2" not in refused.out + refused.err
    assert run("key", "sign", draft, "--key", tmp_path / "stick" / "root.pem", *at, "--yes").code == 2


# ---- Doctor and backup


def trust_of(fleet: Config, now_s: int) -> dict[str, doctor.Finding]:
    wanted = ("root of trust", "online key", "offline keys", "files")
    found = {finding.check: finding for finding in doctor.examine(fleet.directory, None, now_s, quick=True)}
    return {check: found[check] for check in wanted if check in found}


@pytest.mark.parametrize(
    ("days", "status", "words"),
    [
        (0, doctor.OK, "valid for"),
        (639, doctor.OK, "valid for"),
        (645, doctor.WARN, "expires in"),
        (732, doctor.FAIL, ""),
    ],
)
def test_the_doctor_tells_when_a_root_ends(fleet: Config, stick: Path, days: int, status: str, words: str) -> None:
    found = trust_of(fleet, int(time.time()) + days * DAY_S)
    assert (found["root of trust"].status, words in found["root of trust"].text) == (status, True)
    assert list(found) == ["root of trust", "files"] or status != doctor.OK


def test_the_doctor_finds_what_is_wrong_with_keys(fleet: Config, stick: Path) -> None:
    now_s = int(time.time())
    fleet.campaign_key_file.unlink()
    publish.files.write_new(fleet.campaign_key_file, make.private_pem(make.new_key()))
    (fleet.keys_dir / "root.pem").write_bytes((stick / "root.pem").read_bytes())
    found = trust_of(fleet, now_s)
    assert (found["online key"].status, found["offline keys"].status) == (doctor.FAIL, doctor.WARN)
    fleet.campaign_key_file.chmod(0o644)
    assert "campaign.key" in trust_of(fleet, now_s)["files"].hint
    fleet.campaign_key_file.unlink()
    fleet.proof_key_file.unlink()
    found = trust_of(fleet, now_s)
    assert "online key" not in found
    (fleet.keys_dir / "root-1.cbor").write_bytes(b"")
    assert trust_of(fleet, now_s)["root of trust"].status == doctor.FAIL


def test_a_fleet_that_is_older_than_updates_is_completed(fleet: Config) -> None:
    fleet.proof_key_file.unlink()
    fleet.campaign_key_file.unlink()
    fleet.keys_dir.rmdir()
    made = run("init", fleet.directory, "--json").json["made"]
    assert [Path(row["path"]).name for row in made] == ["proof.key", "campaign.key"]
    assert (mode(fleet.proof_key_file), mode(fleet.campaign_key_file), mode(fleet.keys_dir)) == (0o600, 0o600, 0o700)


def test_roots_and_keys_are_in_a_backup(fleet: Config, stick: Path, tmp_path: Path) -> None:
    with Store.open(fleet.store_url) as store:
        backup.create(fleet, store, tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        names = set(archive.getnames())
    assert {"keys/root-1.cbor", "keys/campaign.key", "certs/proof.key", "keys/build.pub"} <= names
    assert not any(name.endswith(".pem") for name in names if name.startswith("keys/"))


def test_json_of_a_root_can_be_read_by_a_script(fleet: Config, stick: Path) -> None:
    shown = json.loads(run("key", "show", "--fleet", fleet.directory, "-o", "json").out)["root"]
    assert shown["sha256"]
    assert {len(row["public"]) for row in shown["keys"]} == {64}
