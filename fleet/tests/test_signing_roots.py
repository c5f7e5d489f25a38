"""Roots: drafted, signed on several machines, published, rotated; and every way in which that is refused."""

import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fleet import setup, signing
from fleet.config import Config
from fleet.errors import FleetError, NotAllowedError, NotFoundError, UsageError, VerificationError
from fleet.signing import SignatureError, publish, roots, verify_root
from fleet.signing.draft import Changes, draft, outline
from fleet.signing.roots import load, load_document, root_file
from fleet.tests.signing_rig import FIRST, NOW, ROLES, first, key, public, root, signed_by
from protocol import refusals, trust
from protocol.trust import Root, Signed

SWAP = Changes(remove=[("root", key("carl").public)], add=[("root", public("stranger"))])  # carl goes, a stranger comes


def second(changes: Changes = SWAP) -> Signed:
    return draft(root(), changes, NOW)


def skipped() -> Signed:
    one = root()
    one.version = 3
    return signed_by(Signed(document=one.encode(), root=3), "anna", "berta")


def misnamed(name: str) -> Signed:
    one = load_document(second())
    one.roles.append(trust.Role(name=name, threshold=1, keys=[0]))
    return signed_by(Signed(document=one.encode(), root=2), "anna", "berta")


def changed() -> Signed:
    """Somebody puts his key into a draft that others have signed."""
    made = signed_by(second(), "anna", "berta")
    one = load_document(made)
    one.keys[0] = bytes(31) + b"\x09"
    return Signed(document=one.encode(), signatures=made.signatures, root=2)


TO_NEW = Changes(
    remove=[("root", key(name).public) for name in ("anna", "berta", "carl")],
    add=[("root", public("stranger"))],
    thresholds={"root": 1},
)
REFUSED: dict[str, tuple[Callable[[], Signed], int, str]] = {
    "not signed": (second, refusals.U_ROOT_OLD, "role root has 0 of 2"),
    "one of two": (lambda: signed_by(second(), "anna"), refusals.U_ROOT_OLD, "role root has 1 of 2"),
    "new keys alone": (lambda: signed_by(second(TO_NEW), "stranger"), refusals.U_ROOT_OLD, "is not in root 1"),
    "old keys alone": (lambda: signed_by(second(TO_NEW), "anna", "berta"), refusals.U_ROOT_NEW, "is not in root 2"),
    "keys of another role": (
        lambda: signed_by(second(), "build", "second", "campaign"),
        refusals.U_ROOT_OLD,
        "role root has 0 of 2",
    ),
    "one old and one new": (
        lambda: signed_by(second(), "anna", "stranger"),
        refusals.U_ROOT_OLD,
        "role root has 1 of 2",
    ),
    "a version skipped": (skipped, refusals.U_ROOT_VERSION, "it is version 3, and 2 is next"),
    "another one of the version that is there": (
        lambda: signed_by(draft(None, FIRST, NOW + 1), "anna", "berta"),
        refusals.U_ROOT_VERSION,
        "it is version 1, and 2 is next",
    ),
    "changed after it was signed": (changed, refusals.U_ROOT_OLD, "is not over this document"),
    "signed as another document": (
        lambda: signed_by(second(), "anna", "berta", typ=trust.RELEASE_TYPE),
        refusals.U_ROOT_OLD,
        "is not over this document",
    ),
    "a role of two lines": (lambda: misnamed("x\nroot"), refusals.U_MALFORMED, "not a root"),
    "no root": (lambda: Signed(document=b"\xa0"), refusals.U_MALFORMED, "not a root"),
}


@pytest.mark.parametrize(("make", "fault", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_the_next_root_is_refused(fleet: Config, make: Callable[[], Signed], fault: int, words: str) -> None:
    publish.publish(fleet, [first()], NOW)
    before = contents(fleet)
    with pytest.raises(SignatureError) as caught:
        publish.publish(fleet, [make()], NOW)
    assert caught.value.fault == fault
    assert words in str(caught.value)
    assert contents(fleet) == before


def test_the_first_root_needs_its_own_threshold(fleet: Config) -> None:
    with pytest.raises(SignatureError) as caught:
        publish.publish(fleet, [signed_by(draft(None, FIRST, NOW), "anna")], NOW)
    assert caught.value.fault == refusals.U_ROOT_NEW
    with pytest.raises(SignatureError):
        publish.publish(fleet, [signed_by(second(), "anna", "berta")], NOW)
    assert roots(fleet).version == 0


@pytest.fixture
def fleet(tmp_path: Path) -> Config:
    plan = setup.plan(tmp_path / "fleet")
    for step in plan.steps:
        if step.path in (plan.config.file, plan.config.campaign_key_file):
            step.run()
    return plan.config


def contents(fleet: Config) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in fleet.keys_dir.iterdir()}


def test_roots_follow_each_other_and_all_are_kept(fleet: Config) -> None:
    assert roots(fleet).document == b""
    with pytest.raises(NotFoundError, match="no root of trust"):
        _ = roots(fleet).current
    one = publish.publish(fleet, [first()], NOW)
    two = publish.publish(fleet, [signed_by(second(), "anna", "berta")], NOW)
    three = draft(two.root, Changes(), NOW + 5)
    publish.publish(fleet, [signed_by(three, "anna", "stranger")], NOW)
    chain = roots(fleet)
    assert (chain.version, chain.current.version, one.root.version) == (3, 3, 1)
    assert chain.document == three.document
    assert [load(chain.envelope(at) or b"").root for at in (1, 2, 3)] == [1, 2, 3]
    assert [chain.envelope(at) for at in (0, 4)] == [None, None]
    assert stat.S_IMODE(root_file(fleet, 1).stat().st_mode) == 0o644
    assert stat.S_IMODE(fleet.keys_dir.stat().st_mode) == 0o700


def test_copies_that_were_signed_apart_are_put_together(fleet: Config) -> None:
    copy = draft(None, FIRST, NOW)
    done = publish.publish(fleet, [signed_by(copy, "anna"), signed_by(copy, "berta", "stranger")], NOW)
    assert done.is_new
    assert len(load(done.path.read_bytes()).signatures) == 2  # the stranger's is of no use to a node
    with pytest.raises(VerificationError, match="different drafts"):
        publish.publish(fleet, [signed_by(copy, "anna"), draft(None, FIRST, NOW + 1)], NOW)


def test_publishing_again_changes_nothing(fleet: Config) -> None:
    publish.publish(fleet, [first()], NOW)
    before = contents(fleet)
    assert not publish.publish(fleet, [first()], NOW).is_new
    assert contents(fleet) == before


def test_a_dry_run_checks_and_writes_nothing(fleet: Config) -> None:
    before = contents(fleet)
    assert publish.publish(fleet, [first()], NOW, dry_run=True).is_new
    assert contents(fleet) == before


def test_an_expired_draft_is_refused(fleet: Config) -> None:
    with pytest.raises(SignatureError) as caught:
        publish.publish(fleet, [first()], NOW + 800 * 86400)
    assert caught.value.fault == refusals.U_ROOT_EXPIRED


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(first().encode()),
        lambda path: path.write_bytes(path.read_bytes()[:40] + b"\x00" + path.read_bytes()[41:]),
        lambda path: path.write_bytes(second().encode()),
    ],
    ids=["cut", "emptied", "replaced by another", "a byte of it changed", "its signatures removed"],
)
def test_a_chain_that_was_damaged_is_found(fleet: Config, harm: Callable[[Path], object]) -> None:
    publish.publish(fleet, [first()], NOW)
    harm(publish.publish(fleet, [signed_by(second(), "anna", "berta")], NOW).path)
    with pytest.raises(VerificationError, match=r"root-2\.cbor does not hold"):
        roots(fleet)


# ---- Signing drafts


def test_a_draft_that_was_changed_after_somebody_signed_it_is_not_signed_by_the_next() -> None:
    with pytest.raises(SignatureError, match="changed after it was signed"):
        publish.sign_draft(changed(), key("carl"))


def test_who_signs_a_draft_may_be_known_to_the_root_before_alone() -> None:
    made = publish.sign_draft(second(), key("carl"))
    made = publish.sign_draft(publish.sign_draft(made, key("anna")), key("stranger"))
    assert verify_root(made, root()).version == 2


# ---- Drafting


def test_the_first_root_says_what_was_asked_for() -> None:
    found = root()
    assert {role.name: (role.threshold, len(role.keys), role.report) for role in found.roles} == {
        "root": (2, 3, False),
        "build": (2, 2, False),
        "campaign": (1, 1, False),
        "bench": (1, 1, True),
    }
    assert trust.roles_for(found, "light") == ["build", "bench"]
    assert trust.roles_for(found, "air") == ["build"]
    assert (found.issued, found.expires) == (NOW, NOW + 730 * 86400)


def changed_by(changes: Changes) -> dict[str, str]:
    names = {key(name).public: name for _, name in ROLES} | {key("stranger").public: "stranger"}
    before, after = outline(root(), names), outline(load_document(second(changes)), names)
    return {what: after.get(what, "") for what in {**before, **after} if before.get(what) != after.get(what)}


ALTERED: dict[str, tuple[Changes, dict[str, str]]] = {
    "nothing": (Changes(), {}),
    "a key goes from every role": (
        Changes(remove=[("", key("build").public)], thresholds={"build": 1}),
        {"role build": "1 of second"},
    ),
    "a key comes": (Changes(add=[("build", public("stranger"))]), {"role build": "2 of build, second, stranger"}),
    "a role comes": (Changes(add=[("night", public("stranger"))]), {"role night": "1 of stranger"}),
    "a role goes with its last key": (
        Changes(remove=[("bench", key("bench").public)], require={"light": ()}),
        {"role bench": "", "product light": "signed by build"},
    ),
    "a report is asked for": (
        Changes(reports={"build": True}),
        {"role build": "2 of build, second, over a report"},
    ),
    "products need more": (Changes(require={"air": ("bench",)}), {"product air": "signed by build and bench"}),
    "recovery": (
        Changes(recovery=["a.example:8883"], recovery_s=7200),
        {"recovery": "a.example:8883 after 7200 s"},
    ),
}


@pytest.mark.parametrize(("changes", "expected"), ALTERED.values(), ids=ALTERED.keys())
def test_the_next_root_differs_in(changes: Changes, expected: dict[str, str]) -> None:
    assert changed_by(changes) == expected


ABSURD: dict[str, tuple[Changes, type[FleetError], str]] = {
    "nobody in the role root": (
        Changes(remove=[("root", key(name).public) for name in ("anna", "berta", "carl")]),
        UsageError,
        "nobody is left",
    ),
    "more signatures than keys": (Changes(thresholds={"root": 4}), UsageError, "threshold of 4"),
    "no signature": (Changes(thresholds={"build": 0}), UsageError, "threshold of 0"),
    "fewer keys than signatures": (
        Changes(remove=[("build", key("build").public)]),
        UsageError,
        "threshold of 2: it has 1 keys",
    ),
    "the online key builds": (Changes(add=[("build", public("campaign"))]), UsageError, "is online"),
    "a builder goes online": (Changes(add=[("campaign", public("build"))]), UsageError, "is online"),
    "a key twice": (Changes(add=[("build", public("build"))]), UsageError, "already"),
    "a role without a name": (Changes(add=[("", public("stranger"))]), UsageError, "not the name of a role"),
    "a key that is not there": (Changes(remove=[("", key("stranger").public)]), NotFoundError, "no role has"),
    "a key that is in another role": (Changes(remove=[("root", key("build").public)]), NotFoundError, "role root"),
    "a threshold of no role": (Changes(thresholds={"night": 1}), NotFoundError, "no role night"),
    "a product that needs no known role": (Changes(require={"air": ("night",)}), UsageError, "the role night"),
    "a product signed online": (Changes(require={"air": ("campaign",)}), UsageError, "the role campaign"),
    "a role that goes and is needed": (
        Changes(remove=[("bench", key("bench").public)]),
        UsageError,
        "light cannot require",
    ),
    "a recovery broker without port": (Changes(recovery=["a.example"]), UsageError, "not a broker"),
    "five recovery brokers": (Changes(recovery=["a:1", "b:1", "c:1", "d:1", "e:1"]), UsageError, "recovery"),
    "a recovery within the hour": (Changes(recovery_s=60), UsageError, "recovery_s"),
    "beyond the end of time": (Changes(days=36500), UsageError, "expires"),
}


@pytest.mark.parametrize(("changes", "error", "words"), ABSURD.values(), ids=ABSURD.keys())
def test_a_root_cannot_have(changes: Changes, error: type[FleetError], words: str) -> None:
    with pytest.raises(error) as caught:
        second(changes)
    assert words in str(caught.value)


def test_the_first_root_needs_somebody_who_builds() -> None:
    with pytest.raises(UsageError, match="role build"):
        draft(None, replace(FIRST, add=[row for row in FIRST.add if row[0] != "build"], thresholds={}), NOW)


# ---- The online key


def with_online(fleet: Config) -> Signed:
    """Root 1 with the online key of this fleet."""
    add = [row for row in FIRST.add if row[0] != "campaign"]
    online = signing.PublicKey("campaign", signing.campaign_signer(fleet).public)
    return signed_by(draft(None, replace(FIRST, add=[*add, ("campaign", online)]), NOW), "anna", "berta")


def renewed(fleet: Config, old: Root) -> Signed:
    used = signing.campaign_signer(fleet).public
    changes = Changes(add=[("campaign", publish.new_online_key(fleet))], remove=[("campaign", used)])
    return signed_by(draft(old, changes, NOW), "anna", "berta")


def test_a_new_online_key_is_used_from_its_root_on(fleet: Config) -> None:
    one = publish.publish(fleet, [with_online(fleet)], NOW).root
    before = signing.campaign_signer(fleet).public
    waiting = publish.new_online_key(fleet).public
    two = renewed(fleet, one)
    assert signing.campaign_signer(fleet).public == before
    done = publish.publish(fleet, [two], NOW)
    assert done.has_new_online_key
    assert signing.campaign_signer(fleet).public == waiting != before
    assert publish.is_online(done.root, waiting)
    assert stat.S_IMODE(fleet.campaign_key_file.stat().st_mode) == 0o600
    assert [path.name for path in fleet.keys_dir.glob("*.key")] == ["campaign.key"]


def test_a_crash_between_root_and_key_is_made_good_by_publishing_again(
    fleet: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = publish.publish(fleet, [with_online(fleet)], NOW).root
    two = renewed(fleet, one)

    class Crash(BaseException):
        """kill -9."""

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(publish.files, "replace", crash)
        with pytest.raises(Crash):
            publish.publish(fleet, [two], NOW)
    assert not publish.is_online(roots(fleet).current, publish.online_key(fleet))
    assert publish.publish(fleet, [two], NOW).has_new_online_key
    assert publish.is_online(roots(fleet).current, publish.online_key(fleet))


def test_a_fleet_without_an_online_key_says_what_makes_it(fleet: Config) -> None:
    fleet.campaign_key_file.unlink()
    assert publish.online_key(fleet) is None
    with pytest.raises(NotFoundError) as caught:
        signing.campaign_signer(fleet)
    assert "fleet init" in caught.value.hint


# ---- Names


def test_names_of_keys_are_remembered(fleet: Config) -> None:
    people: Sequence[str] = ("anna", "berta")
    publish.keep_names(fleet, [public(name) for name in people])
    publish.keep_names(fleet, [public("anna")])
    known = publish.names(fleet)
    assert [known[key(name).public] for name in people] == ["anna", "berta"]
    assert known[signing.campaign_signer(fleet).public] == "online"
    with pytest.raises(NotAllowedError, match="another key is called anna"):
        publish.keep_names(fleet, [replace(public("carl"), name="anna")])
