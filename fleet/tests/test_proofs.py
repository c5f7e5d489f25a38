"""What a node proves: only itself, only this, only now; with the node's own code at the other end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fleet import proofs, setup
from fleet.config import Config
from fleet.errors import ConfigError, NotFoundError, VerificationError
from protocol import update
from protocol.update import Proof

SECRET = bytes(range(32))
NODE = "air-1"
BOOT0 = 29_000_000
NONCE = b"a nonce of ours."


def proof(node: str = NODE, boot0: int = BOOT0, secret: bytes = SECRET, nonce: bytes = NONCE) -> Proof:
    """As the node makes it."""
    made = Proof(nonce=nonce, manifest=bytes(32), slot="b", boot=7, confirmed=True)
    made.mac = update.prove(proofs.key_of(secret, node, boot0), node, made)
    return made


def test_a_proof_holds() -> None:
    proofs.check(SECRET, NODE, BOOT0, proof(), NONCE)
    proofs.check(SECRET, NODE, BOOT0, Proof.decode(proof().encode()), NONCE)


def altered(**values: object) -> Proof:
    made = proof()
    for name, value in values.items():
        setattr(made, name, value)
    return made


FORGED: dict[str, Callable[[], Proof]] = {
    "another node's": lambda: proof(node="air-2"),
    "of the time before it was provisioned anew": lambda: proof(boot0=BOOT0 - 1),
    "of another fleet": lambda: proof(secret=bytes(32)),
    "an old one": lambda: proof(nonce=b"a nonce of yore."),
    "without a nonce": lambda: proof(nonce=b""),
    "with another manifest": lambda: altered(manifest=b"\x01" * 32),
    "with another slot": lambda: altered(slot="a"),
    "with another boot": lambda: altered(boot=8),
    "on trial": lambda: altered(confirmed=False),
    "on another base": lambda: altered(base=b"\x01" * 32),
    "without a code": lambda: altered(mac=b""),
    "with a code of zeros": lambda: altered(mac=bytes(32)),
    "with half a code": lambda: altered(mac=proof().mac[:16]),
}


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED.keys())
def test_a_proof_does_not_hold(make: Callable[[], Proof]) -> None:
    with pytest.raises(VerificationError, match=NODE):
        proofs.check(SECRET, NODE, BOOT0, make(), NONCE)


def test_a_judge_that_knew_a_node_learns_that_it_was_provisioned_anew() -> None:
    made, now = {NODE: BOOT0 - 1}, [0.0]
    judge = proofs.Judge(SECRET, made.__getitem__, lambda: now[0])
    old = proof(boot0=BOOT0 - 1)
    assert judge.holds(NODE, old)
    made[NODE] = BOOT0
    now[0] += proofs.KNOWN_S
    assert not judge.holds(NODE, old)
    assert judge.holds(NODE, proof())
    assert not judge.holds(NODE, old)


def test_keys_of_nodes_and_nonces_differ() -> None:
    keys = {proofs.key_of(SECRET, node, boot0) for node in ("air-1", "air-11") for boot0 in (0, 1, 256, BOOT0)}
    assert len(keys) == 8
    assert {len(one) for one in keys} == {proofs.KEY_BYTES}
    assert len({proofs.new_nonce() for _ in range(100)}) == 100


@pytest.fixture
def fleet(tmp_path: Path) -> Config:
    plan = setup.plan(tmp_path / "fleet")
    for step in plan.steps:
        if step.path in (plan.config.file, plan.config.certs_dir / "server.pem", plan.config.ca_dir / "ca.pem"):
            step.run()
    return plan.config


def test_the_secret_of_a_fleet_is_read(fleet: Config) -> None:
    fleet.proof_key_file.write_text(f"{SECRET.hex()}\n")
    assert proofs.secret_of(fleet) == SECRET


@pytest.mark.parametrize("text", ["", "x", "00" * 31, "00" * 33, "é"])
def test_a_damaged_secret_is_told(fleet: Config, text: str) -> None:
    fleet.proof_key_file.write_text(text)
    with pytest.raises(ConfigError, match="damaged"):
        proofs.secret_of(fleet)


def test_a_fleet_that_is_older_than_proofs_is_told_what_to_do(fleet: Config) -> None:
    with pytest.raises(NotFoundError) as caught:
        proofs.secret_of(fleet)
    assert "fleet init" in caught.value.hint
