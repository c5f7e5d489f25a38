"""What the tests of updates share: a fleet with a root of trust, releases that are signed and published, and nodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from fleet import files, signing
from fleet.config import Config
from fleet.releases import trust as released
from fleet.releases.archive import Archive
from fleet.releases.contents import Contents
from fleet.signing.make import new_key
from fleet.signing.roots import root_file
from fleet.signing.signers import PemSigner
from fleet.store import Store
from fleet.store.releases import Published
from protocol import manifest, trust
from protocol.trust import Release, Role, Root, Signed

FAR_S = 4_000_000_000
BOARDS = ("esp32_air", "esp32_light", "esp32")


def program(version: str, size: int = 5000) -> dict[str, bytes]:
    """The files of a slot: much is the same from version to version, and little of it packs well."""
    text = sha256(b"seed").digest()
    while len(text) < size:
        text += sha256(text[-32:]).digest()
    return {"node/app.mpy": text[:size], "node/version.mpy": version.encode(), "protocol/cbor.mpy": text[: size // 2]}


@dataclass
class Trusted:
    """The keys of a fleet, and its root 1, which needs one signature by `build`."""

    config: Config
    root_key: PemSigner = field(default_factory=lambda: PemSigner("root", "", new_key()))
    build_key: PemSigner = field(default_factory=lambda: PemSigner("build", "", new_key()))

    def __post_init__(self) -> None:
        online = signing.campaign_signer(self.config)
        keys = [self.root_key.public, self.build_key.public, online.public]
        names = (trust.ROOT, trust.BUILD, trust.CAMPAIGN)
        roles = [Role(name=name, threshold=1, keys=[at]) for at, name in enumerate(names)]
        root = Root(version=1, expires=FAR_S, keys=keys, roles=roles)
        signed = signing.add(Signed(document=root.encode()), trust.ROOT_TYPE, self.root_key)
        self.config.keys_dir.mkdir(exist_ok=True)
        files.replace(root_file(self.config, 1), signed.encode())

    def publish(
        self, store: Store, product: str, version: str, sequence: int, slot: Mapping[str, bytes], **more: Any
    ) -> Published:
        """Sign and publish a release; `more` are fields of Release that shall be otherwise, and `base` an image."""
        document = manifest.build(version, dict(slot)).encode()
        base = more.pop("base", b"")
        if base:
            more |= {"base": sha256(base).digest(), "base_size": len(base), "base_version": "1.29.0"}
        values: dict[str, Any] = {
            "product": product, "version": version, "sequence": sequence, "expires": FAR_S, "boards": list(BOARDS),
            "chips": ["esp32"], "mpy": 6, "base_min": "1.24.0", "manifest": manifest.digest(document),
            "manifest_size": len(document), "size": sum(map(len, slot.values())), "sbom": sha256(b"sbom").digest(),
        }  # fmt: skip
        release = Release(**{**values, **more})
        signed = signing.add(Signed(document=release.encode()), trust.RELEASE_TYPE, self.build_key)
        whole = Contents(signed, release, document, dict(slot), b"sbom", b"size", base)
        archive = Archive(self.config.releases_dir)
        return released.publish(whole, signing.roots(self.config), store, archive, 1_763_800_000, "ops@desk", True)[0]
