"""Who signed a release decides whether it is published: every role, with its threshold, over a report if need be."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from fleet import signing
from fleet.errors import FleetError, NotAllowedError, NotFoundError, UsageError, VerificationError
from fleet.hil import vouch
from fleet.releases import compare, contents, directory, trust
from fleet.releases.archive import Archive
from fleet.releases.contents import Contents
from fleet.signing import Roots, SignatureError
from fleet.store import Store
from fleet.tests.release_rig import FAR_S, NOW_S, built, enveloped, key, report, root_of, small_firmware
from protocol import refusals
from protocol.trust import RELEASE_TYPE, Release, Signed

REPORT = sha256(b"a report").digest()
KEYS = {name: key(name) for name in ("root", "build", "build2", "campaign", "bench")}
STRANGER = key("stranger")
ROOT = root_of(KEYS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Contents]:
    top = tmp_path_factory.mktemp("sources")
    first = small_firmware(top / "first")
    later = small_firmware(top / "later", "1.1.0", "LAMP = 2\nDOOR = 3\n")
    return {
        "air": built(first),
        "light": built(first, "light"),
        "later": built(later, time_s=NOW_S - 60),
        "again": built(first, sequence=77),
    }


@dataclass
class Fleet:
    """What a release is published into."""

    store: Store
    archive: Archive
    roots: Roots

    def publish(self, release: Contents, now_s: int = NOW_S, older: bool = False) -> tuple[object, bool]:
        return trust.publish(release, self.roots, self.store, self.archive, now_s, "ops@desk", older)


@pytest.fixture
def fleet(tmp_path: Path):
    envelope = enveloped(ROOT, KEYS["root"])
    with Store.open(tmp_path / "fleet.db") as store:
        store.migrate()
        roots = Roots((envelope.encode(),), (envelope.document,), ROOT)
        yield Fleet(store, Archive(tmp_path / "releases"), roots)


def both(release: Contents) -> Contents:
    """Signed by build and bench."""
    return trust.sign(trust.sign(release, KEYS["build"], "build"), KEYS["bench"], "bench", REPORT)


def forged(release: Contents) -> Contents:
    """The signatures of a release over another document."""
    about = Release.decode(release.signed.document)
    about.boards = [*about.boards, "esp32c6_air"]
    signed = Signed(document=about.encode(), signatures=both(release).signed.signatures)
    return replace(release, signed=signed, release=about)


def by(release: Contents, *signers: tuple[str, str, bytes]) -> Contents:
    """Signed by (key, role, report), whether or not that makes sense."""
    for name, _, digest in signers:
        signer = KEYS.get(name, STRANGER)
        release = replace(release, signed=signing.add(release.signed, RELEASE_TYPE, signer, digest))
    return release


LACKING: dict[str, tuple[Callable[[Contents], Contents], int]] = {
    "no signature": (lambda air: air, refusals.U_UNSIGNED),
    "a stranger's alone": (lambda air: by(air, ("stranger", "build", b"")), refusals.U_UNKNOWN_KEY),
    "no signature by build": (lambda air: by(air, ("bench", "bench", REPORT)), refusals.U_WRONG_ROLE),
    "the online key in its place": (lambda air: by(air, ("campaign", "build", b"")), refusals.U_WRONG_ROLE),
    "no signature by bench": (lambda air: by(air, ("build", "build", b"")), refusals.U_ROLE_MISSING),
    "one by bench without a report": (
        lambda air: by(air, ("build", "build", b""), ("bench", "bench", b"")),
        refusals.U_NO_REPORT,
    ),
    "signatures over another document": (forged, refusals.U_BAD_SIGNATURE),
}


@pytest.mark.parametrize("case", LACKING)
def test_a_release_that_lacks_a_signature_is_not_published(fleet: Fleet, made: dict[str, Contents], case: str) -> None:
    change, fault = LACKING[case]
    with pytest.raises(SignatureError) as caught:
        fleet.publish(change(made["air"]))
    assert caught.value.fault == fault
    assert fleet.store.releases.all() == []
    assert not fleet.archive.has(made["air"].release.manifest), "nothing of it is kept"


def test_fewer_keys_than_the_threshold_are_too_few_however_often_they_sign(made: dict[str, Contents]) -> None:
    root = root_of(KEYS, {"build": 2})
    release = both(made["air"])
    with pytest.raises(SignatureError, match="threshold") as caught:
        trust.verify(release.signed, release.release, root, NOW_S)
    assert caught.value.cause == "role build has 1 of 2 signatures"
    release = trust.sign(release, KEYS["build2"], "build")
    trust.verify(release.signed, release.release, root, NOW_S)
    assert [(one.role, len(one.signers), one.is_met) for one in trust.roles(release.signed, release.release, root)] == [
        ("build", 2, True),
        ("bench", 1, True),
    ]


def test_a_release_or_a_root_that_has_expired_is_refused(made: dict[str, Contents]) -> None:
    release = both(made["air"])
    for root, now_s, fault in (
        (ROOT, release.release.expires, refusals.U_EXPIRED),
        (root_of(KEYS, expires=NOW_S), NOW_S, refusals.U_ROOT_EXPIRED),
    ):
        with pytest.raises(SignatureError) as caught:
            trust.verify(release.signed, release.release, root, now_s)
        assert caught.value.fault == fault
        assert caught.value.hint


def test_a_published_release_comes_back_whole_and_twice_is_once(fleet: Fleet, made: dict[str, Contents]) -> None:
    release = both(made["air"])
    row, is_new = fleet.publish(release)
    assert is_new
    assert fleet.publish(release, NOW_S + 5) == (replace(row, published_s=NOW_S + 5), False)
    assert fleet.store.releases.all() == [row]
    back = trust.published(fleet.store.releases.get("air-1.0.0"), fleet.archive)
    assert (back.release, back.files, back.sbom, back.size) == (
        release.release, release.files, release.sbom, release.size,
    )  # fmt: skip
    assert Signed.decode(fleet.store.releases.get("air-1.0.0").envelope).root == ROOT.version
    assert fleet.store.releases.by_manifest(release.release.manifest) == row


def test_signatures_of_the_same_release_add_up(fleet: Fleet, made: dict[str, Contents]) -> None:
    fleet.publish(both(made["air"]))
    more = trust.sign(both(made["air"]), KEYS["build2"], "build")
    assert fleet.publish(more)[1]
    assert not fleet.publish(both(made["air"]))[1], "fewer take none away"
    kept = Signed.decode(fleet.store.releases.get("air-1.0.0").envelope)
    assert len(kept.signatures) == 3


def test_each_product_has_roles_and_sequences_of_its_own(fleet: Fleet, made: dict[str, Contents]) -> None:
    fleet.publish(both(made["later"]))
    fleet.publish(trust.sign(made["light"], KEYS["build"], "build"))
    with pytest.raises(NotAllowedError, match="newer release of air"):
        fleet.publish(both(made["air"]))
    fleet.publish(both(made["air"]), older=True)
    assert [row.id for row in fleet.store.releases.all()] == ["air-1.1.0", "air-1.0.0", "light-1.0.0"]


def test_a_version_never_stands_for_other_bytes(fleet: Fleet, made: dict[str, Contents]) -> None:
    fleet.publish(both(made["air"]))
    with pytest.raises(NotAllowedError, match="other contents"):
        fleet.publish(both(made["again"]), older=True)


def test_a_dry_run_says_the_same_and_keeps_nothing(fleet: Fleet, made: dict[str, Contents]) -> None:
    row, is_new = trust.publish(both(made["air"]), fleet.roots, fleet.store, None, NOW_S, "ops@desk")
    assert (row.id, is_new) == ("air-1.0.0", True)
    assert fleet.store.releases.all() == []
    assert not fleet.archive.has(made["air"].release.manifest)


def test_a_damaged_archive_gives_no_release(fleet: Fleet, made: dict[str, Contents]) -> None:
    fleet.publish(both(made["air"]))
    path = fleet.archive.path(sha256(made["air"].files["node/app.mpy"]).digest())
    path.write_bytes(b"M")
    with pytest.raises(VerificationError) as caught:
        trust.published(fleet.store.releases.get("air-1.0.0"), fleet.archive)
    assert "files/node/app.mpy" in caught.value.cause
    fleet.publish(both(made["air"]))
    assert trust.published(fleet.store.releases.get("air-1.0.0"), fleet.archive).id == "air-1.0.0", "and is mended"


def test_one_key_signs_once(made: dict[str, Contents]) -> None:
    with pytest.raises(NotAllowedError, match="already"):
        trust.sign(both(made["air"]), KEYS["build"], "build")


REFUSED = {
    "a bench that has seen no report": ("bench", "bench", None, UsageError, "over a report"),
    "a bench without one, under a root that wants it": ("bench", "bench", ROOT, UsageError, "over a report"),
    "a key that the root does not have": ("stranger", "build", ROOT, NotAllowedError, "no key of role build"),
    "a key of another role": ("bench", "build", ROOT, NotAllowedError, "no key of role build"),
    "a role that the root does not have": ("build", "audit", ROOT, UsageError, "no role audit"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_signature_that_would_count_for_nothing_is_not_made(made: dict[str, Contents], case: str) -> None:
    name, role, root, kind, text = REFUSED[case]
    with pytest.raises(kind, match=text) as caught:
        trust.sign(made["air"], KEYS.get(name, STRANGER), role, root=root)
    assert caught.value.hint


def test_signing_with_a_root_says_under_which_one_it_holds(made: dict[str, Contents]) -> None:
    root = root_of(KEYS, version=3)
    assert trust.sign(made["air"], KEYS["build"], "build", root=root).signed.root == 3
    assert trust.sign(made["air"], KEYS["build"], "build").signed.root == 0


def test_a_root_in_a_file_has_to_be_signed_by_its_own_keys(tmp_path: Path) -> None:
    path = tmp_path / "root-1.cbor"
    path.write_bytes(enveloped(ROOT, KEYS["root"]).encode())
    assert trust.root_in(path) == ROOT
    for data in (enveloped(ROOT, KEYS["build"]).encode(), b"", b"\xa0", ROOT.encode()):
        path.write_bytes(data)
        with pytest.raises(VerificationError):
            trust.root_in(path)
    with pytest.raises(NotFoundError):
        trust.root_in(tmp_path / "nothing")


def test_a_report_vouches_for_the_program_that_was_tested(tmp_path: Path) -> None:
    good = report(tmp_path / "any name.json", "ab" * 32)
    digest, run = vouch.load(good)
    assert digest == sha256(good.read_bytes()).digest()
    assert vouch.faults(run, "air", "ab" * 32) == []
    assert "another program" in vouch.faults(run, "air", "cd" * 32)[0]
    assert "no board of kind light" in vouch.faults(run, "light", "ab" * 32)[0]
    for outcome in ("failed", "infrastructure", "skipped"):
        _, run = vouch.load(report(tmp_path / "run.json", "ab" * 32, outcome))
        assert vouch.faults(run, "air", "ab" * 32) == [f"run r1 has not passed: {outcome}"], "whatever its verdict says"
    assert vouch.load(tmp_path)[0] == sha256((tmp_path / "run.json").read_bytes()).digest(), "a directory of a run"


def test_the_report_that_is_judged_is_the_one_that_is_named(tmp_path: Path) -> None:
    good = report(tmp_path / "good.json", "ab" * 32).read_bytes()
    path = tmp_path / "run.json"
    os.mkfifo(path)  # whatever is read of it is gone
    writer = threading.Thread(target=path.write_bytes, args=(good,), daemon=True)
    writer.start()
    digest, run = vouch.load(path)
    assert (digest, vouch.faults(run, "air", "ab" * 32)) == (sha256(good).digest(), [])
    writer.join()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"results": 5}', b'{"results": [{"outcome": "perfect"}]}', None])
def test_what_is_no_report_is_refused(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "run.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(FleetError):
        vouch.load(path)


def test_two_releases_are_compared_file_by_file(made: dict[str, Contents]) -> None:
    old, new = made["air"], made["later"]
    found = {one.path: (one.kind, one.before, one.after) for one in compare.changes(new, old)}
    sizes = {name: (len(old.files[name]), len(new.files[name])) for name in ("node/__init__.mpy", "node/app.mpy")}
    assert found == {name: ("changed", *both) for name, both in sizes.items()}
    across = {one.path: one.kind for one in compare.changes(made["light"], old)}
    assert across == {
        "boards/esp32_air.mpy": "removed",
        "boards/esp32_light.mpy": "added",
        "boards/esp32s3_air.mpy": "removed",
    }
    assert compare.changes(old, old) == []
    assert 0 < compare.delta_bytes(new, old) <= compare.full_bytes(new)


def test_the_way_through_a_directory_keeps_the_signatures(tmp_path: Path, made: dict[str, Contents]) -> None:
    path, _ = directory.write(tmp_path, made["air"])
    directory.replace_envelope(path, both(made["air"]).signed)
    assert directory.load(path) == both(made["air"])
    assert directory.write(tmp_path, made["air"]) == (path, False), "building again does not take them away"
    assert directory.load(path) == both(made["air"])
    assert made["air"].release.expires < FAR_S
    assert contents.opened(directory.load(path).signed.encode())[1] == made["air"].release
