"""`fleet release` as people and scripts use it, from sources to a release that is withdrawn."""

import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet import files, signing
from fleet.config import Config
from fleet.signing.roots import root_file
from fleet.signing.signers import PemSigner
from fleet.tests.cli_rig import Result, make_fleet, run
from fleet.tests.release_rig import TIME_S, enveloped, pem, report, root_of, small_firmware

_TIME = str(TIME_S)


@dataclass
class Desk:
    """A fleet with its first root, keys, and two releases that were built."""

    top: Path
    config: Config
    keys: dict[str, PemSigner]

    @property
    def air(self) -> Path:
        return self.top / "out" / "air-1.0.0"

    def run(self, *args: str | Path, tty: bool = False) -> Result:
        return run("release", *args, "--fleet", self.config.directory, tty=tty)

    def sign(self, role: str, *args: str | Path, place: Path | None = None) -> Result:
        """Without a fleet: signing knows none."""
        return run(
            "release", "sign", place or self.air, "--role", role, "--key", self.top / f"{role.strip('2')}.pem", *args
        )

    def report(self, **more: str) -> Path:
        manifest = json.loads(run("release", "build", *self.order(), "--json").out)["releases"][0]["manifest"]
        return report(self.top / "run.json", manifest, **more)

    def order(self, out: str = "out") -> tuple[str | Path, ...]:
        return "--firmware", self.top / "firmware", "--out", self.top / out, "--time", _TIME


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = make_fleet(tmp_path / "fleet")
    keys = {name: pem(tmp_path / f"{name}.pem") for name in ("root", "build", "bench")}
    keys["campaign"] = signing.campaign_signer(config)
    config.keys_dir.mkdir(exist_ok=True)
    files.replace(root_file(config, 1), enveloped(root_of(keys), keys["root"]).encode())
    small_firmware(tmp_path / "firmware")
    made = Desk(tmp_path, config, keys)
    assert run("release", "build", *made.order()).code == 0
    # Whoever signs has no fleet and an empty directory.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("FLEET_DIR", raising=False)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return made


def published(desk: Desk) -> None:
    """Signed by both, and taken into the fleet."""
    assert desk.sign("build").code == 0
    assert desk.sign("bench", "--report", desk.report()).code == 0
    assert desk.run("publish", desk.air).code == 0


def test_a_build_says_what_it_made_where_and_what_is_next(desk: Desk) -> None:
    again = run("release", "build", *desk.order())
    lines = again.out.splitlines()
    titles = ["RELEASE", "SEQUENCE", "EXPIRES", "FLASH", "BUDGET", "BLOCKS", "DIRECTORY"]
    assert lines[0].split() == titles
    assert [line.split()[0] for line in lines[1:]] == ["air-1.0.0", "light-1.0.0"]
    assert "the same to the byte" in again.err
    assert f"fleet release sign {desk.air} --role build" in again.err
    assert "\r" not in again.out + again.err, "nothing moves off a terminal"
    dry = run("release", "build", *desk.order("dry"), "--product", "light", "--dry-run", "--json")
    [row] = dry.json["releases"]
    assert (row["release"], row["written"], row["boards"]) == ("light-1.0.0", False, ["esp32_light"])
    assert not (desk.top / "dry").exists()
    names = run("release", "build", *desk.order(), "-o", "name").out.splitlines()
    assert names == [str(desk.air), str(desk.top / "out" / "light-1.0.0")]


def test_a_date_comes_from_the_environment_or_as_people_write_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    order = ("--firmware", desk.top / "firmware", "--out", desk.top / "x", "--dry-run", "--json")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", _TIME)
    until = ("--expires", "10", "--support-until", "2030-12-31")
    row = run("release", "build", *order, *until).json["releases"][0]
    assert (row["issued"], row["expires"]) == ("2025-11-22T08:26:40Z", "2025-12-02T08:26:40Z")
    row = run("release", "build", *order, "--time", "2026-01-01", "--expires", "2027-01-01").json["releases"][0]
    assert (row["issued"], row["expires"]) == ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
    assert run("release", "build", *order, "--expires", "soon").code == 2


def test_what_is_signed_is_shown_and_no_fleet_is_needed(desk: Desk) -> None:
    signed = desk.sign("build")
    assert signed.code == 0
    assert "air-1.0.0: product air, version 1.0.0, sequence" in signed.err
    assert "--root FILE does" in signed.err, "nobody checked the role"
    assert signed.out.splitlines()[1].split()[:2] == ["air-1.0.0", "build"]
    twice = desk.sign("build")
    assert (twice.code, "already" in twice.err) == (4, True)
    with_root = desk.sign("bench", "--report", desk.report(), "--root", root_file(desk.config, 1), "--json")
    assert with_root.json["signatures"][0]["signatures"] == 2
    wrong = desk.sign("bench2", "--key", desk.top / "root.pem", "--root", root_file(desk.config, 1))
    assert wrong.code == 2, "no role bench2"
    assert list(Path().iterdir()) == []


def test_a_dry_run_of_signing_changes_nothing(desk: Desk) -> None:
    before = (desk.air / "release.cbor").read_bytes()
    assert desk.sign("build", "--dry-run").code == 0
    assert (desk.air / "release.cbor").read_bytes() == before


def test_a_report_has_to_vouch_unless_it_is_forced(desk: Desk) -> None:
    assert desk.sign("bench").code == 2
    failed = desk.sign("bench", "--report", desk.report(outcome="failed"), "--json")
    assert (failed.code, failed.error["code"]) == (4, "not-allowed")
    assert "has not passed: failed" in failed.error["cause"]
    other = desk.sign("bench", "--report", report(desk.top / "other.json", "00" * 32))
    assert (other.code, "tested another program" in other.err) == (4, True)
    forced = desk.sign("bench", "--report", desk.top / "other.json", "--force")
    assert (forced.code, "Signed all the same" in forced.err) == (0, True)


def test_a_tampered_directory_is_neither_signed_nor_published(desk: Desk) -> None:
    (desk.air / "files" / "node" / "app.mpy").write_bytes(b"M\x06evil")
    for result in (desk.sign("build"), desk.run("publish", desk.air), desk.run("verify", desk.air)):
        assert (result.code, "files/node/app.mpy is not what was built" in result.err) == (7, True)


def test_verify_names_the_role_that_is_missing(desk: Desk) -> None:
    desk.sign("build")
    found = desk.run("verify", desk.air)
    assert found.code == 7
    assert "role bench has 0 of 1 signatures" in found.err
    assert "Hint: whoever has a key of that role adds it" in found.err
    assert desk.run("publish", desk.air, "--json").error["code"] == "verification"


def test_verify_needs_no_fleet_when_it_gets_a_root(desk: Desk, tmp_path: Path) -> None:
    desk.sign("build")
    desk.sign("bench", "--report", desk.report())
    root = shutil.copy(root_file(desk.config, 1), tmp_path / "root.cbor")
    found = run("release", "verify", desk.air, "--root", root, "--json")
    assert found.code == 0
    verified = found.json["verified"]
    assert [(row["role"], row["met"]) for row in verified["roles"]] == [("build", True), ("bench", True)]
    assert [row["holds"] for row in verified["signatures"]] == [True, True]
    without = run("release", "verify", desk.air)
    assert (without.code, "--root" in without.err) == (3, True)


def test_from_a_directory_into_the_fleet_and_out_of_use(desk: Desk) -> None:
    assert "No release was published" in desk.run("list").err
    published(desk)
    again = desk.run("publish", desk.air, "--json")
    assert (again.code, again.json["releases"][0]["result"]) == (0, "was published before")
    [row] = desk.run("list", "--json").json["releases"]
    assert (row["release"], row["state"], row["signatures"]) == ("air-1.0.0", "newest", 2)
    shutil.rmtree(desk.air)
    assert desk.run("verify", "air-1.0.0").code == 0, "the archive has all of it"
    assert desk.run("verify", row["digest"][:10]).code == 0
    unsure = desk.run("yank", "air-1.0.0", "--reason", "lamps flicker")
    assert (unsure.code, "add --yes" in unsure.err) == (2, True)
    assert desk.run("yank", "air-1.0.0", "--reason", "lamps  flicker", "--dry-run").code == 0
    assert desk.run("list", "--json").json["releases"][0]["state"] == "newest"
    assert desk.run("yank", "air-1.0.0", "--reason", "lamps  flicker", "--yes").code == 0
    [row] = desk.run("list", "--json").json["releases"]
    assert (row["state"], row["yanked_reason"]) == ("yanked", "lamps flicker")
    held = desk.run("verify", "air-1.0.0")
    assert (held.code, "It was yanked, so no new update may use it: lamps flicker" in held.err) == (0, True)
    assert desk.run("yank", "air-1.0.0", "--reason", "again", "--yes").code == 4
    assert desk.run("yank", "air-1.0.1", "--reason", "again", "--yes").code == 3
    assert desk.run("yank", "air-1.0.0", "--reason", " ", "--yes").code == 2


def test_a_backup_has_what_was_published(desk: Desk, tmp_path: Path) -> None:
    published(desk)
    assert run("backup", tmp_path / "backup.tar.gz", "--fleet", desk.config.directory).code == 0
    with tarfile.open(tmp_path / "backup.tar.gz") as archive:
        archive.extractall(tmp_path / "restored", filter="data")
    assert run("release", "verify", "air-1.0.0", "--fleet", tmp_path / "restored").code == 0


def test_a_dry_run_of_publishing_keeps_nothing(desk: Desk) -> None:
    desk.sign("build")
    desk.sign("bench", "--report", desk.report())
    dry = desk.run("publish", desk.air, "--dry-run", "--json")
    assert (dry.code, dry.json["releases"][0]["result"]) == (0, "would be published")
    assert desk.run("list", "--json").json["releases"] == []
    assert not desk.config.releases_dir.exists()


def test_show_says_who_signed_and_what_changed(desk: Desk) -> None:
    published(desk)
    small_firmware(desk.top / "later", "1.1.0", "LAMP = 2\n")
    order = ("--firmware", desk.top / "later", "--out", desk.top / "out", "--time", str(TIME_S + 600))
    run("release", "build", *order, "--product", "air", "--cve", "CVE-2026-12345", "--support-until", "2031-01-01")
    later = desk.top / "out" / "air-1.1.0"
    desk.sign("build", place=later)
    desk.sign("bench", "--report", desk.top / "run.json", "--force", place=later)
    assert desk.run("publish", later).code == 0
    shown = desk.run("show", "air-1.1.0", "--against", "air-1.0.0")
    for text in ("State  ", "newest", "CVE-2026-12345", "2031-01-01", "bench", "changed  node/app.mpy"):
        assert text in shown.out
    release = desk.run("show", "air-1.1.0", "--against", "air-1.0.0", "--json").json["release"]
    assert {row["file"] for row in release["changes"]} == {"node/__init__.mpy", "node/app.mpy"}
    assert 0 < release["delta_bytes"] <= release["full_bytes"]
    assert (release["kind"], release["cves"]) == ("security", ["CVE-2026-12345"])
    assert [row["state"] for row in desk.run("list", "--json").json["releases"]] == ["newest", "older"]
    assert desk.run("show", "air-1.1.0", "--against", "air-9").code == 3
    assert desk.run("show", "light-1.0.0").code == 3


def test_show_takes_a_directory_before_it_is_published_and_after(desk: Desk) -> None:
    before = desk.run("show", desk.air, "--json").json["release"]
    assert (before["release"], before["state"], before["published"]) == ("air-1.0.0", "not published", None)
    assert [row["met"] for row in before["roles"]] == [False, False]
    published(desk)
    after = desk.run("show", desk.air, "--against", "air-1.0.0", "--json").json["release"]
    assert (after["state"], after["digest"], after["changes"]) == ("newest", before["digest"], [])
    assert desk.run("show", desk.air.parent).code == 3


def test_a_fleet_without_a_root_publishes_nothing_and_says_what_to_do(desk: Desk) -> None:
    root_file(desk.config, 1).unlink()
    desk.sign("build")
    for result in (desk.run("publish", desk.air), desk.run("verify", desk.air)):
        assert (result.code, "no root of trust" in result.err) == (3, True)
        assert "Hint:" in result.err
