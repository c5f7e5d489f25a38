import os
import stat
from pathlib import Path

import pytest

from fleet import config, pki, setup
from fleet.errors import NotAllowedError, NotFoundError, UsageError
from fleet.store import Store
from fleet.tests.rig import free_port

WHOLE = [
    "fleet.toml",
    "ca/ca.pem",
    "certs/server.pem",
    "certs/service.pem",
    "certs/operator.pem",
    "certs/service.id",
    "certs/claim.key",
    "certs/proof.key",
    "keys/campaign.key",
    "fleet.db",
    "broker/nats.conf",
]


def steps(directory: Path) -> list[str]:
    """What is missing."""
    return [str(step.path.relative_to(directory)) for step in setup.plan(directory).steps]


def files_of(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_plan_changes_nothing(tmp_path: Path) -> None:
    assert steps(tmp_path / "fleet") == WHOLE
    assert list(tmp_path.iterdir()) == []


def test_a_new_fleet_is_complete_and_private(tmp_path: Path) -> None:
    directory = tmp_path / "fleet"
    done: list[setup.Step] = []
    port = free_port()
    plan = setup.plan(directory, {"broker": {"port": port, "names": ["b.example"]}})
    plan.carry_out(done.append)
    assert tuple(done) == plan.steps
    assert steps(directory) == []
    assert config.load(directory) == plan.config
    assert plan.config.broker.port == port
    for path in directory.rglob("*"):
        secret = path.suffix in (".key", ".id", ".secret", ".conf", ".acl", ".toml")
        assert not secret or stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert not path.is_dir() or stat.S_IMODE(path.stat().st_mode) == 0o700, path
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    with Store.open(plan.config.store_url) as store:
        revision, newest = store.schema()
        assert revision == newest
        assert store.nodes.all() == []


def test_the_second_time_changes_nothing(tmp_path: Path) -> None:
    setup.plan(tmp_path).carry_out()
    before = files_of(tmp_path)
    again = setup.plan(tmp_path)
    assert again.steps == ()
    again.carry_out()
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("made", range(len(WHOLE)))
def test_a_set_up_that_a_crash_ended_is_completed(tmp_path: Path, made: int) -> None:
    for step in setup.plan(tmp_path).steps[:made]:
        step.run()
    before = files_of(tmp_path)
    assert steps(tmp_path) == WHOLE[made:]
    setup.plan(tmp_path).carry_out()
    after = files_of(tmp_path)
    assert steps(tmp_path) == []
    assert {name: after[name] for name in before if not name.startswith("fleet.db")} == {
        name: data for name, data in before.items() if not name.startswith("fleet.db")
    }


class Crash(BaseException):
    """kill -9."""


@pytest.mark.parametrize("files_before", range(13))
def test_a_crash_in_the_middle_of_a_step_is_made_good_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_before: int
) -> None:
    directory = tmp_path / "fleet"
    link, unlink, made = os.link, Path.unlink, []

    def crash(source: Path, target: Path) -> None:
        if len(made) == files_before:
            monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # nobody cleans up any more
            raise Crash
        made.append(target)
        link(source, target)

    monkeypatch.setattr(os, "link", crash)
    with pytest.raises(Crash):
        setup.plan(directory).carry_out()
    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(Path, "unlink", unlink)
    setup.plan(directory).carry_out()
    assert steps(directory) == []
    pki.Authority.load(directory / "ca").revoke(directory / "ca", 1, 1_800_000_000)


def test_an_empty_database_of_a_crash_is_filled(tmp_path: Path) -> None:
    plan = setup.plan(tmp_path)
    for step in plan.steps[:-2]:
        step.run()
    (tmp_path / "fleet.db").touch()
    setup.plan(tmp_path).carry_out()
    with Store.open(tmp_path / "fleet.db") as store:
        assert store.nodes.all() == []


@pytest.mark.parametrize("name", ["ca/ca", "certs/server", "certs/service"])
def test_a_key_without_its_certificate_is_of_a_crash_and_made_anew(tmp_path: Path, name: str) -> None:
    for step in setup.plan(tmp_path).steps:
        if step.path == tmp_path / f"{name}.pem":
            break
        step.run()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / f"{name}.key").write_text("half")
    setup.plan(tmp_path).carry_out()
    assert b"PRIVATE KEY" in (tmp_path / f"{name}.key").read_bytes()
    assert pki.Authority.load(tmp_path / "ca").cert.subject.rfc4514_string().startswith("CN=Lumenair fleet ")


def test_a_lost_authority_is_not_replaced_behind_the_back_of_its_certificates(tmp_path: Path) -> None:
    setup.plan(tmp_path).carry_out()
    (tmp_path / "ca" / "ca.pem").unlink()
    with pytest.raises(NotAllowedError, match=r"ca\.pem is missing"):
        setup.plan(tmp_path)
    assert (tmp_path / "ca" / "ca.key").exists()


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(NotAllowedError, match="holds something else"):
        setup.plan(tmp_path)


def test_a_fleet_with_other_settings_is_left_alone(tmp_path: Path) -> None:
    setup.plan(tmp_path, {"broker": {"port": 1234}}).carry_out()
    assert setup.plan(tmp_path, {"broker": {"port": 1234}}).steps == ()
    with pytest.raises(UsageError, match="other settings"):
        setup.plan(tmp_path, {"broker": {"port": 1235}})


def test_the_authority_is_encrypted_when_the_configuration_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    directory = tmp_path / "fleet"
    setup.plan(directory, {"pki": {"passphrase_file": str(secret)}}).carry_out()
    assert b"ENCRYPTED" in (directory / "ca" / "ca.key").read_bytes()
    pki.Authority.load(directory / "ca", b"correct horse")
    with pytest.raises(NotFoundError):
        setup.plan(tmp_path / "other", {"pki": {"passphrase_file": "nowhere"}}).carry_out()


def test_the_session_of_the_service_is_a_secret_of_each_fleet(tmp_path: Path) -> None:
    ids = set()
    for name in ("a", "b"):
        setup.plan(tmp_path / name).carry_out()
        ids.add(config.load(tmp_path / name).service_id)
    assert len(ids) == 2
    assert all(len(each) == len("service-") + 20 for each in ids)
    (tmp_path / "a" / "certs" / "service.id").unlink()
    with pytest.raises(NotFoundError, match=r"service\.id"):
        _ = config.load(tmp_path / "a").service_id
