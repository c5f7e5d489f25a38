"""Who may do what, tried on real brokers with the generated configuration (issue: It must show 2)."""

import datetime
import itertools
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator

import pytest

from fleet import pki, provision
from fleet.broker import mosquitto, nats
from fleet.broker.rights import User
from fleet.model import Kind
from fleet.tests.rig import MOSQUITTO, NATS, Client, Rig, mosquitto_program, tls, wait_for

COUNTER = itertools.count()

# sentence: (whose certificate, topic, whether it goes through)
PUBLISH = {
    "a node sends its own records": ("pole-1", "lum/1/pole-1/up/tele", True),
    "a node sends its own state": ("pole-1", "lum/1/pole-1/up/state", True),
    "a node says how far its update is": ("pole-1", "lum/1/pole-1/up/ota", True),
    "a node asks for blocks": ("pole-1", "lum/1/pole-1/up/block", True),
    "a node cannot ask in the name of another": ("pole-1", "lum/1/pole-2/up/block", False),
    "a node cannot say what another has updated to": ("pole-1", "lum/1/pole-2/up/ota", False),
    "a node cannot order an update of another": ("pole-1", "lum/1/pole-2/down/ota", False),
    "a node cannot order its own update": ("pole-1", "lum/1/pole-1/down/ota", False),
    "a node cannot serve blocks to another": ("pole-1", "lum/1/pole-2/down/block", False),
    "a node cannot halt the others": ("pole-1", "lum/1/_/down/epoch", False),
    "the service halts a rollout": ("service", "lum/1/_/down/epoch", True),
    "the service orders an update": ("service", "lum/1/pole-1/down/ota", True),
    "the service serves blocks": ("service", "lum/1/pole-2/down/block", True),
    "the service cannot say how far an update is": ("service", "lum/1/pole-1/up/ota", False),
    "a node cannot send records of another": ("pole-1", "lum/1/pole-2/up/tele", False),
    "a node cannot send the state of another": ("pole-1", "lum/1/pole-2/up/state", False),
    "a node cannot send for a node whose id begins like its own": ("pole-1", "lum/1/pole-10/up/tele", False),
    "a node cannot command another": ("pole-1", "lum/1/pole-2/down/cmd", False),
    "a node cannot command itself": ("pole-1", "lum/1/pole-1/down/cmd", False),
    "a node cannot write beside its branch": ("pole-1", "lum/1/pole-1/elsewhere", False),
    "a node cannot write above the contract": ("pole-1", "lum/2/pole-1/up/tele", False),
    "the service commands a node": ("service", "lum/1/pole-1/down/cmd", True),
    "the service configures a node": ("service", "lum/1/pole-2/down/config", True),
    "the service cannot speak for a node": ("service", "lum/1/pole-1/up/tele", False),
    "the service cannot speak for a node of its own name": ("service", "lum/1/service.fleet/up/tele", False),
    "the service cannot write elsewhere": ("service", "lum/2/pole-1/down/cmd", False),
    "an operator commands a node": ("operator", "lum/1/pole-1/down/cmd", True),
    "an operator cannot speak for a node": ("operator", "lum/1/pole-2/up/state", False),
}

# sentence: (whose certificate, filter, a topic that it covers, whether messages arrive)
SUBSCRIBE = {
    "a node hears its commands": ("pole-1", "lum/1/pole-1/down/cmd", "lum/1/pole-1/down/cmd", True),
    "a node hears everything that is for it": ("pole-1", "lum/1/pole-1/down/#", "lum/1/pole-1/down/config", True),
    "a node cannot hear commands to another": ("pole-1", "lum/1/pole-2/down/cmd", "lum/1/pole-2/down/cmd", False),
    "a node cannot hear commands to all": ("pole-1", "lum/1/+/down/cmd", "lum/1/pole-2/down/cmd", False),
    "a node hears the order that was kept for it": ("pole-1", "lum/1/pole-1/down/ota", "lum/1/pole-1/down/ota", True),
    "a node hears what is halted": ("pole-1", "lum/1/_/down/epoch", "lum/1/_/down/epoch", True),
    "a node cannot hear more of what is for all": ("pole-1", "lum/1/_/down/#", "lum/1/_/down/cmd", False),
    "a node hears blocks": ("pole-1", "lum/1/pole-1/down/block", "lum/1/pole-1/down/block", True),
    "a node cannot hear the order to another": ("pole-1", "lum/1/pole-2/down/ota", "lum/1/pole-2/down/ota", False),
    "a node cannot hear the blocks of another": ("pole-1", "lum/1/+/down/block", "lum/1/pole-2/down/block", False),
    "the service cannot hear orders to update": ("service", "lum/1/+/down/ota", "lum/1/pole-1/down/ota", False),
    "a node cannot hear records of another": ("pole-1", "lum/1/pole-2/up/#", "lum/1/pole-2/up/tele", False),
    "a node cannot hear everything": ("pole-1", "#", "lum/1/pole-2/up/tele", False),
    "a node cannot hear a node whose id begins like its own": (
        "pole-1",
        "lum/1/pole-10/down/#",
        "lum/1/pole-10/down/cmd",
        False,
    ),
    "the service hears every node": ("service", "lum/1/+/up/#", "lum/1/pole-2/up/tele", True),
    "the service hears one node": ("service", "lum/1/pole-2/up/reply", "lum/1/pole-2/up/reply", True),
    "the service cannot hear what is for nodes": ("service", "lum/1/+/down/#", "lum/1/pole-1/down/cmd", False),
    "the service cannot hear everything": ("service", "#", "lum/1/pole-1/down/cmd", False),
    "the service cannot hear the broker's insides": ("service", "$SYS/#", "lum/1/pole-1/down/cmd", False),
    "an operator hears every node": ("operator", "lum/1/+/up/#", "lum/1/pole-1/up/event", True),
    "an operator cannot hear what is for nodes": ("operator", "lum/1/+/down/#", "lum/1/pole-2/down/cmd", False),
}

# What each may hear for certain: what arrives there proves that everything before it has arrived.
OWN = {"pole-1": "lum/1/pole-1/down/ota", "service": "lum/1/pole-9/up/ota", "operator": "lum/1/pole-9/up/block"}


@pytest.fixture(scope="module", params=[NATS, MOSQUITTO])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig.create(tmp_path_factory.mktemp("fleet"))
    made.add("pole-1", "pole-2")
    with made.running(request.param):
        yield made


@pytest.fixture(scope="module")
def auditor(rig: Rig) -> Iterator[Client]:
    with rig.client("auditor") as client:
        assert client.subscribe("lum/#") == 1
        yield client


def mark() -> bytes:
    """A payload that was never sent before."""
    return b"mark %d" % next(COUNTER)


@pytest.mark.parametrize("sentence", PUBLISH)
def test_publish(rig: Rig, auditor: Client, sentence: str) -> None:
    who, topic, allowed = PUBLISH[sentence]
    payload, last = mark(), mark()
    with rig.client(who) as client:
        client.publish(topic, payload)
        auditor.publish("lum/last", last)
        wait_for(lambda: auditor.got(last), "what is sent afterwards")
    assert auditor.got(payload) is allowed


@pytest.mark.parametrize("sentence", PUBLISH)
def test_retained_publish(rig: Rig, sentence: str) -> None:
    who, topic, allowed = PUBLISH[sentence]
    payload = mark()
    with rig.client(who) as client, rig.client("late") as late:
        client.publish(topic, payload, retain=True)
        late.subscribe(topic)
        late.publish(topic, b"", retain=True)
        last = mark()
        late.publish(topic, last)
        wait_for(lambda: late.got(last), "what is sent afterwards")
        assert late.got(payload) is allowed


@pytest.mark.parametrize("sentence", SUBSCRIBE)
@pytest.mark.parametrize("qos", [0, 1])
def test_subscribe(rig: Rig, auditor: Client, sentence: str, qos: int) -> None:
    who, topics, topic, allowed = SUBSCRIBE[sentence]
    payload, last, retained = mark(), mark(), mark()
    auditor.publish(topic, retained, retain=True)
    with rig.client(who) as client:
        granted = client.subscribe(topics, qos)
        client.subscribe(OWN[who])
        auditor.publish(topic, payload)
        auditor.publish(OWN[who], last)
        wait_for(lambda: client.got(last), "what is sent afterwards")
        if allowed:
            wait_for(lambda: client.got(payload) and client.got(retained), "what is allowed")
        else:
            assert not client.got(payload)
            assert not client.got(retained)
            assert granted == 128 or rig.kind == MOSQUITTO
    auditor.publish(topic, b"", retain=True)


def test_a_will_speaks_for_its_own_node_only(rig: Rig, auditor: Client) -> None:
    own, foreign = mark(), mark()
    for payload, topic in ((foreign, "lum/1/pole-2/up/state"), (own, "lum/1/pole-1/up/state")):
        client = rig.client("pole-1")
        client.will(topic, payload)
        with client:
            client.vanish()
    wait_for(lambda: auditor.got(own), "the will of the node itself")
    assert not auditor.got(foreign)


def mosquitto_sub(rig: Rig, cert: str | None, topics: str) -> "subprocess.CompletedProcess[str]":
    """As a person would try it."""
    certs = rig.config.certs_dir
    own = ("--cert", str(certs / f"{cert}.pem"), "--key", str(certs / f"{cert}.key")) if cert else ()
    where = ("-h", "localhost", "-p", str(rig.config.broker.port), "--cafile", str(rig.config.ca_dir / "ca.pem"))
    program = str(mosquitto_program("mosquitto_sub"))
    return subprocess.run(
        (program, *where, *own, "-i", cert or "nobody", "-t", topics, "-q", "1", "-C", "1", "-W", "2"),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_mosquitto_sub_hears_what_its_certificate_may_and_nothing_else(rig: Rig, auditor: Client) -> None:
    for node in ("pole-1", "pole-2"):
        auditor.publish(f"lum/1/{node}/down/config", b"for " + node.encode(), retain=True)
        auditor.publish(f"lum/1/{node}/up/state", b"from " + node.encode(), retain=True)
    assert mosquitto_sub(rig, "pole-1", "lum/1/pole-1/down/config").stdout == "for pole-1\n"
    assert mosquitto_sub(rig, "service", "lum/1/pole-2/up/state").stdout == "from pole-2\n"
    for cert, topics in (
        ("pole-1", "lum/1/pole-2/down/config"),
        ("pole-1", "lum/1/pole-2/up/state"),
        ("pole-1", "lum/1/+/up/#"),
        ("service", "lum/1/pole-1/down/config"),
        (None, "lum/1/pole-1/down/config"),
    ):
        run = mosquitto_sub(rig, cert, topics)
        assert run.stdout == "", (cert, topics)
        assert run.returncode != 0 or "denied" in run.stderr


def test_a_client_without_a_certificate_is_refused(rig: Rig) -> None:
    rig.assert_refused(None)


def test_a_certificate_of_another_authority_is_refused(rig: Rig) -> None:
    issued = pki.Authority.create("test", 10, int(time.time())).issue_node("pole-1", 10, int(time.time()))
    rig.keep("forged", issued.cert_der, issued.key_der)
    rig.assert_refused("forged", "pole-1")


def test_an_expired_certificate_is_refused(rig: Rig) -> None:
    authority = pki.Authority.load(rig.config.ca_dir)
    issued = authority.issue_node("pole-1", 1, int(time.time()) - 2 * 86400)
    assert issued.cert.not_valid_after_utc < datetime.datetime.now(datetime.UTC)
    rig.keep("expired", issued.cert_der, issued.key_der)
    rig.assert_refused("expired", "pole-1")


def test_a_server_certificate_is_no_client_certificate(rig: Rig) -> None:
    rig.assert_refused("server", "pole-1")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_before_1_2_is_refused(rig: Rig) -> None:
    for version, fine in (
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ):
        context = tls(rig.config, "pole-1")
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("localhost", rig.config.broker.port), 5) as plain:
            if fine:
                with context.wrap_socket(plain, server_hostname="localhost") as secured:
                    assert secured.version() == version.name.replace("_", ".")
            else:
                with pytest.raises((ssl.SSLError, ConnectionResetError)):
                    context.wrap_socket(plain, server_hostname="localhost")


def test_a_retired_node_stays_out_while_others_stay(rig: Rig) -> None:
    rig.add("pole-7", "pole-8")
    with rig.client("pole-7") as gone, rig.client("pole-8") as stays:
        rig.provisioner.retire("pole-7")
        if rig.kind == NATS:  # Mosquitto looks at the revocation list when a connection is made, and not again
            wait_for(gone.off.is_set, "the end of the connection")
        assert not stays.off.is_set()
    rig.assert_refused("pole-7")


def test_a_renewed_node_works_and_its_old_certificate_does_not(rig: Rig) -> None:
    rig.add("pole-5")
    old = [(rig.config.certs_dir / f"pole-5.{kind}").read_bytes() for kind in ("pem", "key")]
    for kind, data in zip(("pem", "key"), old, strict=True):
        (rig.config.certs_dir / f"pole-5-old.{kind}").write_bytes(data)
    with rig.client("pole-5-old", "pole-5") as before:
        identity = rig.provisioner.renew(provision.Request("pole-5", Kind.AIR, "esp32"))
        if rig.kind == NATS:
            wait_for(before.off.is_set, "the end of the connection")
    rig.keep("pole-5", identity.cert, identity.key)
    rig.assert_refused("pole-5-old", "pole-5")
    with rig.client("pole-5") as now:
        assert now.reason == "Success"


def test_a_client_id_is_bound_to_its_certificate_on_mosquitto(rig: Rig) -> None:
    if rig.kind == NATS:
        return  # it does not: test_guard.py
    with rig.client("pole-1") as owner, rig.client("pole-2", "pole-1") as other:
        assert other.reason == "Success"
        with rig.client("pole-2", "pole-2"):
            wait_for(other.off.is_set, "the end of the session that was really pole-2's")
        assert not owner.off.is_set()


def test_the_texts_name_every_right_once() -> None:
    user = User("pole-1", 255)
    assert user.identity == "lumenair:pole-1/ff"
    assert mosquitto.acl_text([]).splitlines()[1:] == [
        "pattern write lum/1/%u/up/#",
        "pattern read lum/1/%u/down/#",
        "pattern read lum/1/_/down/epoch",
    ]
    assert nats._subjects(user.publish) == ['"lum.1.pole-1.up"', '"lum.1.pole-1.up.>"']
