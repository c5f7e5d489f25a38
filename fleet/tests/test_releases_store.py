"""Where releases are kept: objects under their digest, rows that are never deleted."""

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from fleet.errors import NotAllowedError, NotFoundError, UsageError, VerificationError
from fleet.releases.archive import Archive
from fleet.store import Store
from fleet.store.releases import Published

NOW_S = 1_763_800_000


def released(product: str = "air", version: str = "1.0.0", sequence: int = 10, digest: bytes = b"") -> Published:
    mark = f"{product} {version} {sequence}".encode()
    digest = digest or sha256(mark).digest()
    return Published(digest, product, version, sequence, sha256(digest).digest(), 9, b"", mark, NOW_S, "ops@desk")


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "fleet.db") as found:
        found.migrate()
        yield found


def test_an_object_comes_back_and_is_kept_once(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "releases")
    digest = archive.put(b"a module")
    before = archive.path(digest).stat()
    assert archive.put(b"a module") == digest == sha256(b"a module").digest()
    assert archive.path(digest).stat().st_ino == before.st_ino, "written once"
    assert (archive.has(digest), archive.size(digest), archive.get(digest)) == (True, 8, b"a module")


def test_nobody_else_can_put_another_directory_in_the_place_of_one_that_is_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        digest = Archive(tmp_path / "fleet" / "releases").put(b"a module")
    finally:
        os.umask(old)
    above = [
        path for path in Archive(tmp_path / "fleet" / "releases").path(digest).parents if path.is_relative_to(tmp_path)
    ]
    assert {path.stat().st_mode & 0o777 for path in above if path != tmp_path} == {0o700}


def test_what_is_missing_or_damaged_is_said_and_can_be_put_right(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "releases")
    digest = sha256(b"a module").digest()
    assert not archive.has(digest)
    for ask in (archive.get, archive.size):
        with pytest.raises(NotFoundError, match="no object"):
            ask(digest)
    archive.put(b"a module")
    archive.path(digest).write_bytes(b"a nodule")
    with pytest.raises(VerificationError, match="damaged"):
        archive.get(digest)
    archive.put(b"a module")
    assert archive.get(digest) == b"a module"


def test_a_release_is_found_by_id_digest_the_begin_of_it_and_manifest(store: Store) -> None:
    one, two = released(), released("light")
    assert store.releases.add(one)
    assert store.releases.add(two)
    for name in ("air-1.0.0", one.digest, one.digest.hex(), one.digest.hex()[:8], one.digest.hex()[:9].upper()):
        assert store.releases.get(name) == one
    assert store.releases.by_manifest(one.manifest) == one
    assert store.releases.by_manifest(bytes(32)) is None
    for unknown in ("air-1.0.1", b"\0" * 32, one.digest.hex()[:7], ""):
        with pytest.raises(NotFoundError, match="no release"):
            store.releases.get(unknown)
    with pytest.raises(NotFoundError) as caught:
        store.releases.get("air-1.0.1")
    assert caught.value.hint.startswith("did you mean air-1.0.0 ")


def test_a_begin_that_two_digests_share_names_neither(store: Store) -> None:
    store.releases.add(released(digest=b"\xab" * 31 + b"\x01"))
    store.releases.add(released("light", digest=b"\xab" * 31 + b"\x02"))
    with pytest.raises(UsageError) as caught:
        store.releases.get("ab" * 8)
    assert caught.value.hint == "say air-1.0.0 or light-1.0.0"


def test_the_newest_of_each_product_is_first(store: Store) -> None:
    for row in (released(), released("light", sequence=5), released(version="1.1.0", sequence=11)):
        store.releases.add(row)
    assert [row.id for row in store.releases.all()] == ["air-1.1.0", "air-1.0.0", "light-1.0.0"]
    assert [row.id for row in store.releases.all("light")] == ["light-1.0.0"]


def test_the_same_again_changes_nothing_and_new_signatures_are_kept(store: Store) -> None:
    one = released()
    assert store.releases.add(one)
    assert not store.releases.add(replace(one, published_s=NOW_S + 9))
    assert store.releases.get(one.digest) == one
    assert store.releases.add(replace(one, envelope=b"more"))
    assert store.releases.get(one.digest) == replace(one, envelope=b"more")


REFUSED = {
    "the same version with other contents": (released(sequence=12), False, "other contents"),
    "the same sequence": (released(version="1.1.0"), False, "sequence 10"),
    "the same sequence, though it may be older": (released(version="1.1.0"), True, "sequence 10"),
    "a sequence below the newest": (released(version="0.9.0", sequence=9), False, "newer release"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_a_published_release_is_refused(store: Store, case: str) -> None:
    release, older, text = REFUSED[case]
    store.releases.add(released(digest=bytes(32)))
    with pytest.raises(NotAllowedError, match=text):
        store.releases.add(release, older)
    assert [row.id for row in store.releases.all()] == ["air-1.0.0"]


def test_an_older_one_can_be_published_as_such_and_is_not_the_newest(store: Store) -> None:
    store.releases.add(released())
    store.releases.add(released(version="0.9.0", sequence=9), older=True)
    store.releases.add(released("light", "0.9.0", 9))
    assert [row.id for row in store.releases.all()] == ["air-1.0.0", "air-0.9.0", "light-0.9.0"]


def test_a_yanked_release_stays_and_says_why(store: Store) -> None:
    store.releases.add(released())
    yanked = store.releases.yank("air-1.0.0", NOW_S + 5, "ops@desk", "lamps flicker")
    assert yanked == store.releases.get("air-1.0.0")
    assert (yanked.yanked_s, yanked.yanked_by, yanked.yanked_reason) == (NOW_S + 5, "ops@desk", "lamps flicker")
    with pytest.raises(NotAllowedError, match="before") as caught:
        store.releases.yank("air-1.0.0", NOW_S + 6, "ops@desk", "again")
    assert "lamps flicker" in caught.value.cause
