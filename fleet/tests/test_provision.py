import threading
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet import pki, proofs
from fleet.broker import control, nats
from fleet.broker.rights import User
from fleet.errors import NotAllowedError, NotFoundError, UsageError
from fleet.model import Kind, Standing
from fleet.provision import Provisioner, Request, sync, users
from fleet.signing import publish
from fleet.tests.rig import Rig
from fleet.tests.signing_rig import first

NOW = 1_800_000_059


class Case(Rig):
    """A rig whose clock stands still and whose broker only counts how often it is told."""

    told = 0

    @property
    def still(self) -> Provisioner:
        return Provisioner(self.config, self.register, self.tell, lambda: NOW)

    def tell(self) -> None:
        self.told += 1

    def broker_text(self) -> str:
        return (self.config.broker_dir / nats.CONFIG_NAME).read_text()

    def revoked(self) -> list[int]:
        found = x509.load_pem_x509_crl((self.config.ca_dir / "crl.pem").read_bytes())
        return [entry.serial_number for entry in found]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    made = Case.create(tmp_path)
    assert isinstance(made, Case)
    return made


def test_a_new_node_gets_all_it_needs_and_the_broker_knows_it(case: Case) -> None:
    request = Request("pole-17", Kind.LIGHT, "esp32", wifi_ssid="net", wifi_psk="secret", tags={"site": "mitte"})
    (identity,) = case.still.provision(request)
    node = case.register.get("pole-17")
    assert (identity.node, identity.kind, identity.board, identity.boot0) == ("pole-17", "light", "esp32", NOW // 60)
    assert identity.brokers == [f"localhost:{case.config.broker.port}"]
    assert identity.ntp == ["pool.ntp.org"]
    assert (identity.wifi_ssid, identity.made) == ("net", NOW)
    cert = x509.load_der_x509_certificate(identity.cert)
    assert (node.cert_serial, node.cert_sha256) == (cert.serial_number, pki.sha256_of(cert))
    assert (node.standing, node.added_s, node.boot0, node.tags) == (
        Standing.ACCEPTED,
        NOW,
        NOW // 60,
        {"site": "mitte"},
    )
    assert pki.identity("pole-17", node.cert_serial) in case.broker_text()
    assert type(identity).decode(identity.encode()).key == identity.key
    assert case.told == 1


def test_a_node_trusts_the_root_of_its_fleet_and_has_a_key_of_its_own(case: Case) -> None:
    assert not case.still.takes_updates
    (before,) = case.still.provision(Request("pole-1", Kind.AIR, "esp32"))
    publish.publish(case.config, [first()], NOW)
    assert case.still.takes_updates
    again = case.still.renew(Request("pole-1", Kind.AIR, "esp32"))
    (other,) = case.still.provision(Request("pole-2", Kind.AIR, "esp32"))
    assert (before.root, again.root, other.root) == (b"", first().document, first().document)
    secret = proofs.secret_of(case.config)
    node = case.register.get("pole-2")
    assert other.proof_key == proofs.key_of(secret, "pole-2", node.boot0) != again.proof_key
    assert type(other).decode(other.encode()) == other


def test_a_fleet_that_lacks_its_proof_key_makes_no_node_but_retires_them(case: Case) -> None:
    case.still.provision(Request("pole-1", Kind.AIR, "esp32"))
    case.config.proof_key_file.unlink()
    with pytest.raises(NotFoundError, match=r"proof\.key"):
        case.still.provision(Request("pole-2", Kind.AIR, "esp32"))
    with pytest.raises(NotFoundError, match=r"proof\.key"):
        case.still.renew(Request("pole-1", Kind.AIR, "esp32"))
    assert [node.id for node in case.register.all()] == ["pole-1"]
    assert case.revoked() == []
    case.still.retire("pole-1")
    assert case.register.get("pole-1").standing is Standing.RETIRED


def test_what_the_request_says_goes_before_the_configuration(case: Case) -> None:
    request = Request("pole-17", Kind.AIR, "esp32", brokers=("a:1", "b:2"), ntp=(), tz="UTC0")
    (identity,) = case.still.provision(request)
    assert (identity.brokers, identity.ntp, identity.tz) == (["a:1", "b:2"], [], "UTC0")


def test_many_nodes_need_one_reload(case: Case) -> None:
    made = case.still.provision(*(Request(f"pole-{number}", Kind.AIR, "esp32") for number in range(20)))
    assert len({identity.cert for identity in made}) == 20
    assert case.told == 1
    assert case.broker_text().count("lumenair:pole-") == 20


def test_an_id_is_used_once(case: Case) -> None:
    case.still.provision(Request("pole-17", Kind.AIR, "esp32"))
    before = case.register.get("pole-17")
    with pytest.raises(NotAllowedError):
        case.still.provision(Request("pole-17", Kind.LIGHT, "esp32"))
    assert case.register.get("pole-17") == before


def test_a_wrong_id_changes_nothing(case: Case) -> None:
    with pytest.raises(UsageError):
        case.still.provision(Request("Pole 17", Kind.AIR, "esp32"))
    assert case.register.all() == []
    assert case.told == 0


@pytest.mark.parametrize("second", ["pole-1", "pole-9", "Pole"])
def test_several_nodes_are_made_all_or_none(case: Case, second: str) -> None:
    case.still.provision(Request("pole-9", Kind.AIR, "esp32"))
    with pytest.raises((NotAllowedError, UsageError)):
        case.still.provision(*(Request(node, Kind.AIR, "esp32") for node in ("pole-1", second)))
    assert [node.id for node in case.register.all()] == ["pole-9"]


def test_a_retired_node_is_revoked_and_unknown_to_the_broker(case: Case) -> None:
    case.still.provision(Request("pole-1", Kind.AIR, "esp32"), Request("pole-2", Kind.AIR, "esp32"))
    serial = case.register.get("pole-1").cert_serial
    case.still.retire("pole-1")
    node = case.register.get("pole-1")
    assert (node.standing, node.retired_s) == (Standing.RETIRED, NOW)
    assert case.revoked() == [serial]
    assert "pole-1/" not in case.broker_text()
    assert "pole-2/" in case.broker_text()
    assert case.told == 2
    with pytest.raises(NotAllowedError, match="retired"):
        case.still.retire("pole-1")
    with pytest.raises(NotAllowedError, match="retired"):
        case.still.renew(Request("pole-1", Kind.AIR, "esp32"))


def test_one_unknown_node_among_several_retires_none(case: Case) -> None:
    case.still.provision(Request("pole-1", Kind.AIR, "esp32"))
    with pytest.raises(NotFoundError):
        case.still.retire("pole-1", "nowhere")
    assert case.register.get("pole-1").standing is Standing.ACCEPTED
    assert case.revoked() == []


def test_renewal_replaces_the_certificate_and_keeps_the_rest(case: Case) -> None:
    case.still.provision(Request("pole-1", Kind.AIR, "esp32", tags={"site": "mitte"}))
    old = case.register.get("pole-1")
    identity = case.still.renew(Request("pole-1", Kind.AIR, "esp32-c3"))
    new = case.register.get("pole-1")
    assert (new.board, new.tags, new.added_s) == ("esp32-c3", {"site": "mitte"}, old.added_s)
    assert x509.load_der_x509_certificate(identity.cert).serial_number == new.cert_serial != old.cert_serial
    assert case.revoked() == [old.cert_serial]
    assert pki.identity("pole-1", old.cert_serial) not in case.broker_text()


class Crash(BaseException):
    """kill -9."""


def crash(*_: object) -> None:
    raise Crash


@pytest.mark.parametrize("where", ["the revocation", "the register", "the broker's files", "the broker"])
@pytest.mark.parametrize("what", ["retire", "renew"])
def test_a_crash_anywhere_is_made_good_by_doing_it_again_or_by_the_next_start(
    case: Case, monkeypatch: pytest.MonkeyPatch, what: str, where: str
) -> None:
    request = Request("pole-1", Kind.AIR, "esp32")
    case.still.provision(request)
    old = case.register.get("pole-1").cert_serial
    target, name = {
        "the revocation": (pki.Authority, "revoke"),
        "the register": (case.register, "replace"),
        "the broker's files": (control, "write"),
        "the broker": (case, "tell"),  # by `tell` below
    }[where]
    tell = crash if where == "the broker" else case.tell
    fragile = Provisioner(case.config, case.register, tell, lambda: NOW)
    job = partial(fragile.retire, "pole-1") if what == "retire" else partial(fragile.renew, request)
    with monkeypatch.context() as patched:
        patched.setattr(target, name, crash)
        with pytest.raises(Crash):
            job()
    if case.register.get("pole-1").standing is Standing.ACCEPTED and case.register.get("pole-1").cert_serial == old:
        case.still.retire("pole-1")
    sync(case.config, case.register)
    assert old in case.revoked(), "Mosquitto knows it by the list alone"
    assert pki.identity("pole-1", old) not in case.broker_text()


def test_two_at_a_time_take_turns(case: Case) -> None:
    names = [f"pole-{number}" for number in range(6)]
    case.still.provision(*(Request(name, Kind.AIR, "esp32") for name in names))
    threads = [threading.Thread(target=case.still.retire, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(case.revoked()) == {case.register.get(name).cert_serial for name in names}
    assert "pole-" not in case.broker_text()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["add", "renew", "retire"]), st.integers(0, 3)), max_size=12))
def test_broker_register_and_revocation_list_always_agree(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    case = Case.create(tmp_path_factory.mktemp("fleet"))
    assert isinstance(case, Case)
    issued = set()
    for what, number in steps:
        request = Request(f"pole-{number}", Kind.AIR, "esp32")
        try:
            if what == "add":
                case.still.provision(request)
            elif what == "renew":
                case.still.renew(request)
            else:
                case.still.retire(request.node)
        except (NotAllowedError, NotFoundError):
            continue
        issued.add(case.register.get(request.node).cert_serial)
        admitted = {user.serial for user in users(case.config, case.register) if user.name.startswith("pole")}
        assert admitted == {node.cert_serial for node in case.register.all() if node.standing is Standing.ACCEPTED}
        assert set(case.revoked()) == issued - admitted
        assert case.broker_text().count("lumenair:pole-") == len(admitted)


def test_the_configuration_of_ten_thousand_nodes_takes_one_line_each(case: Case) -> None:
    many = [User(f"pole-{number:05}", number << 140) for number in range(10_000)]
    text = nats.config_text(case.config, many, "secret")
    assert text.count("\n") < 10_100
