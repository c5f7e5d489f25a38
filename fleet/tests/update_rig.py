"""What the tests of updates share: a fleet with a root of trust, releases that are signed and published, and nodes."""

import queue
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import paho.mqtt.client as mqtt

from fleet import files, proofs, signing
from fleet.config import Config
from fleet.releases import trust as released
from fleet.releases.archive import Archive
from fleet.releases.contents import Contents
from fleet.signing.make import new_key
from fleet.signing.roots import root_file
from fleet.signing.signers import PemSigner
from fleet.store import Store
from fleet.store.releases import Published
from fleet.tests.rig import tls
from protocol import manifest, topics, trust, update
from protocol.messages import State
from protocol.trust import Campaign, Release, Role, Root, Signed
from protocol.update import PAYLOAD, RELEASE, Ask, Block, Proof, Status

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


class Puller:
    """A node that obeys orders: it pulls what they name over a line that loses messages, and proves that it runs it.

    It neither checks nor installs anything: what a node makes of what it gets is tested with the real program.
    """

    def __init__(self, config: Config, name: str, boot0: int, manifest: bytes, loss: float = 0, seed: int = 1) -> None:
        self.name = name
        self.manifest = manifest  # of the program that runs
        self.got: dict[int, bytes] = {}  # what was asked for: the whole
        self.half = threading.Event()  # of a payload is there
        self.lost = 0
        self._key = proofs.key_of(proofs.secret_of(config), name, boot0)
        self._boot = boot0 + 1
        self._counter = 0
        self._loss = loss
        self._random = random.Random(seed)
        self._orders: queue.Queue[bytes | None] = queue.Queue()
        self._blocks: queue.Queue[Block] = queue.Queue()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, clean_session=False)
        self._client.tls_set_context(tls(config, name))
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._client.connect_async("localhost", config.broker.port, 30)
        self._client.loop_start()
        self._thread.start()

    def close(self) -> None:
        self._orders.put(None)
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe([(topics.down(self.name, "ota"), 1), (topics.down(self.name, "block"), 0)])
        state = State(online=True, boot=self._boot, manifest=self.manifest, slot="b", firmware="1.0.0")
        client.publish(topics.up(self.name, "state"), state.encode(), 1, True)
        self.say()

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith("/ota"):
            self._orders.put(message.payload)
        elif not self._loses():
            self._blocks.put(Block.decode(message.payload))

    def _loses(self) -> bool:
        lost = self._random.random() < self._loss
        self.lost += lost
        return lost

    def say(self, stage: int = update.IDLE, **more: Any) -> None:
        """A Status."""
        status = Status(counter=self._counter, stage=stage, boot=self._boot, t=int(time.time()), root=1, **more)
        self._client.publish(topics.up(self.name, "ota"), status.encode(), 1)

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            campaign = Campaign.decode(Signed.decode(order).document)
            if campaign.counter > self._counter:
                self._counter = campaign.counter
                self._obey(campaign)

    def _obey(self, campaign: Campaign) -> None:
        self.say(update.CHECKING)
        envelope = self.fetch(RELEASE, campaign.release)
        self.say(update.DOWNLOADING)
        self.fetch(PAYLOAD, campaign.release, self.manifest)
        self.manifest = Release.decode(Signed.decode(envelope).document).manifest
        proof = Proof(nonce=campaign.nonce, manifest=self.manifest, slot="b", boot=self._boot, confirmed=True)
        proof.mac = update.prove(self._key, self.name, proof)
        self._on_connect(self._client)
        self.say(update.CONFIRMED, proof=proof, manifest=self.manifest)

    def fetch(self, what: int, release: bytes, have: bytes = b"") -> bytes:
        """One whole, asked for again until it is there."""
        whole, total, name = b"", 1, b""
        while len(whole) < total:
            ask = Ask(what=what, release=release, have=have, offset=len(whole), count=4)
            if not self._loses():
                self._client.publish(topics.up(self.name, "block"), ask.encode(), 0)
            for _ in range(ask.count):
                block = self._next(what, len(whole))
                if block is None or len(whole) >= (total := block.total or 1):
                    break
                whole, name = whole + block.data, block.id
                if what == PAYLOAD and 2 * len(whole) > total:
                    self.half.set()
        assert sha256(whole).digest()[:8] == name
        self.got[what] = whole
        return whole

    def _next(self, what: int, offset: int) -> Block | None:
        """The block there; None when it does not come, or later."""
        try:
            while True:
                block = self._blocks.get(timeout=0.5)
                if (block.what, block.offset) == (what, offset) and block.data:
                    return block
        except queue.Empty:
            return None
