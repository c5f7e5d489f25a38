"""A fleet manager that has been taken over: it has the online key and the broker's trust, and says what it likes.

It answers what nodes ask for from `wholes`, through `spoil`, which is whatever happens to a block before it leaves.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from fleet import bus, signing
from fleet.config import Config
from fleet.releases import delta
from fleet.releases.contents import Contents
from fleet.signing.signers import Signer
from protocol import topics
from protocol.cose import digest
from protocol.refusals import U_UNAVAILABLE
from protocol.trust import CAMPAIGN_TYPE, INSTALL, Campaign, Signed
from protocol.update import FINAL, PAYLOAD, RELEASE, Ask, Block, Status

_NAME = "operator"  # whose certificate it shows: that of a manager
_DAY_S = 86400


def honest(block: Block) -> Block:
    """Nothing happens."""
    return block


class Hostile:
    """Speaks to `node` over the broker of a fleet whose service does not run. Use it as a context manager."""

    def __init__(self, config: Config, node: str) -> None:
        self.signer: Signer = signing.campaign_signer(config)
        self.spoil: Callable[[Block], Block] = honest
        self.wholes: dict[int, bytes] = {}
        self.nonce = b""
        self._node = node
        self._counter = 1000
        self._said: list[Status] = []
        self._some = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, f"{_NAME}-hostile")
        pem, key = (config.certs_dir / f"{_NAME}.{kind}" for kind in ("pem", "key"))
        self._client.tls_set_context(bus.tls_context(config.ca_dir / "ca.pem", pem, key))
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(topics.up(node, "ota"), 1), (topics.up(node, "block"), 0)]
        )
        self._client.on_message = self._hear
        self._address = config.broker.host, config.broker.port

    def __enter__(self) -> "Hostile":
        self._client.connect(*self._address)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def offer(self, release: Contents) -> None:
        """From now on nodes get this release, whoever has signed it, and its files in full."""
        program = delta.Program(release.manifest, dict(release.files))
        self.wholes = {RELEASE: release.signed.encode(), PAYLOAD: delta.full(program)}

    def campaign(self, release: bytes, **changes: Any) -> bytes:
        """An order to install the release of that digest, signed; `changes` are fields of Campaign."""
        self._counter += 1
        now_s = int(time.time())
        self.nonce = self._counter.to_bytes(16, "big")
        values = {
            "counter": self._counter, "nodes": [self._node], "action": INSTALL, "release": release,
            "issued": now_s, "expires": now_s + _DAY_S, "nonce": self.nonce,
        }  # fmt: skip
        campaign = Campaign(**{**values, **changes})
        return signing.add(Signed(document=campaign.encode()), CAMPAIGN_TYPE, self.signer).encode()

    def order(self, envelope: bytes, patience_s: float) -> Status:
        """Send an order; how the node says that it ended, or the last that it says of it, or a Status of nothing."""
        counter = Campaign.decode(Signed.decode(envelope).document).counter

        def about() -> list[Status]:
            return [one for one in self._said if one.counter == counter]

        with self._some:
            self._said.clear()
            self._client.publish(topics.down(self._node, "ota"), envelope, 1, retain=True)
            self._some.wait_for(lambda: any(one.stage in FINAL for one in about()), patience_s)
            return next((one for one in about() if one.stage in FINAL), (about() or [Status()])[-1])

    def _hear(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith("/ota"):
            with self._some:
                self._said.append(Status.decode(message.payload))
                self._some.notify_all()
            return
        ask = Ask.decode(message.payload)
        whole = self.wholes.get(ask.what)
        for block in [Block(what=ask.what, code=U_UNAVAILABLE)] if whole is None else self._blocks(ask, whole):
            self._client.publish(topics.down(self._node, "block"), self.spoil(block).encode(), 0)

    def _blocks(self, ask: Ask, whole: bytes) -> list[Block]:
        name = digest(whole)[:8]
        ends = range(ask.offset, min(ask.offset + ask.count * ask.size, len(whole)), ask.size)
        return [
            Block(what=ask.what, id=name, offset=at, total=len(whole), data=whole[at : at + ask.size]) for at in ends
        ]
