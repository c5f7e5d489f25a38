"""Message tables: defaults, bounds, unknown keys, nesting; on both interpreters."""

from protocol import cbor, claim, messages
from protocol.claim import Answer, Claim, Request, Ticket
from protocol.errors import DecodeError, EncodeError
from protocol.identity import Identity
from protocol.manifest import File, Manifest
from protocol.message import Message
from protocol.messages import Batch, Boot, Command, Config, Heartbeat, Log, Reply, State
from protocol.tests.expect import raises

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COMMAND_ID = b"\x01\x02\x03\x04\x05\x06\x07\x08"

WRITTEN = {
    "a batch": (Batch(boot=7, entries=[b"\x01"]), "a2010702814101"),
    "a batch with entries that are not dated": (Batch(boot=7, entries=[b""], up_s=61), "a3010702814003183d"),
    "a will": (State(online=False), "a101f4"),
    "a state that carries health": (State(online=True, heartbeat=Heartbeat(up_s=5)), "a201f50da10105"),
    "a boot without a history": (Boot(firmware="1"), "a1016131"),
    "a log line of the usual level": (Log(tag="a", text="b"), "a2046161056162"),
    "a command without arguments": (
        Command(id=COMMAND_ID, name="reset"),
        "a20148010203040506070802657265736574",
    ),
    "a reply": (Reply(id=COMMAND_ID, status=messages.DONE), "a2014801020304050607080203"),
    "a configuration": (Config(rev=2, values={1: 60}), "a2010202a101183c"),
    "a manifest of one file": (
        Manifest(version="1", files=[File(path="a", size=3, sha256=b"\x07" * 32)]),
        "a20161310281a30161610203035820" + "07" * 32,
    ),
    "a ticket": (
        Ticket(urls=["u"], ca=b"c", batch="b", until=9, secret=b"\x07" * 32, kind="air", board="x"),
        "a7018161750241630361620409055820" + "07" * 32 + "0663616972076178",
    ),
    "the first claim of a board": (
        Claim(mac=b"\x24\x0a\xc4\x00\x00\x01", batch="b", until=9, kind="air", board="x"),
        "a50146240ac4000001026162030905636169720661" + "78",
    ),
    "a request": (Request(claim=b"\xa0", proof=b"\x07" * 32), "a20141a0025820" + "07" * 32),
    "a challenge": (Answer(status=claim.CHALLENGE, nonce=b"\x01\x02"), "a20101024201" + "02"),
    "a board that has to wait": (Answer(status=claim.PENDING, retry_s=60), "a2010203183c"),
    "an identity at last": (Answer(status=claim.ISSUED, identity=b"i"), "a20103044169"),
    "a board that is not wanted": (Answer(status=claim.REFUSED, reason="no"), "a2010405626e6f"),
}

REFUSED: "dict[str, tuple[type[Message], Any, str]]" = {
    "no map": (State, [True], "State is not a map"),
    "a required field missing": (Batch, {1: 1}, "Batch.entries missing"),
    "an integer for a truth value": (State, {1: 1}, "State.online of the wrong type"),
    "a truth value for an integer": (State, {1: True, 2: True}, "State.boot of the wrong type"),
    "null for an integer": (State, {1: True, 2: None}, "State.boot of the wrong type"),
    "text for bytes": (Reply, {1: "abcdefgh", 2: 3}, "Reply.id of the wrong type"),
    "an integer below its range": (Config, {1: 0}, "Config.rev out of range"),
    "an integer above its range": (Config, {1: 1 << 32}, "Config.rev out of range"),
    "a negative age": (State, {1: True, 13: {1: -1}}, "Heartbeat.up_s out of range"),
    "text that is too long": (Log, {4: "t" * 17}, "Log.tag out of range"),
    "text that is too long in bytes": (Log, {4: "\u00fc" * 9}, "Log.tag out of range"),
    "bytes that are too short": (Command, {1: b"1234567", 2: "x"}, "Command.id out of range"),
    "an empty list": (Batch, {1: 1, 2: []}, "Batch.entries out of range"),
    "a list that is too long": (Batch, {1: 1, 2: [b""] * 129}, "Batch.entries out of range"),
    "a list of something else": (Batch, {1: 1, 2: [b"", 1]}, "Batch.entries of the wrong type"),
    "no list": (Batch, {1: 1, 2: b""}, "Batch.entries of the wrong type"),
    "a map that is too large": (
        Command,
        {1: COMMAND_ID, 2: "x", 3: dict.fromkeys(range(17), 0)},
        "Command.args out of range",
    ),
    "no map in its place": (Command, {1: COMMAND_ID, 2: "x", 3: []}, "Command.args of the wrong type"),
    "a message that is no map": (State, {1: True, 13: 5}, "Heartbeat is not a map"),
    "a message that lacks a field": (State, {1: True, 13: {}}, "Heartbeat.up_s missing"),
    "a file without its hash": (Manifest, {1: "1", 2: [{1: "a", 2: 3}]}, "File.sha256 missing"),
    "a hash that is too short": (File, {1: "a", 2: 3, 3: b"\x07" * 31}, "File.sha256 out of range"),
    "a manifest of nothing": (Manifest, {1: "1", 2: []}, "Manifest.files out of range"),
    "a secret that is too short": (
        Ticket,
        {1: ["u"], 2: b"c", 3: "b", 4: 9, 5: b"\x07" * 31, 6: "air", 7: "x"},
        "Ticket.secret out of range",
    ),
    "a claim without a batch": (Claim, {1: b"123456", 3: 9, 5: "air", 6: "x"}, "Claim.batch missing"),
    "a chip without a serial number": (Claim, {1: b"", 2: "b", 3: 9, 5: "air", 6: "x"}, "Claim.mac out of range"),
    "a request without a proof": (Request, {1: b"\xa0"}, "Request.proof missing"),
    "an answer that does not exist": (Answer, {1: 5}, "Answer.status out of range"),
    "a wait of more than five minutes": (Answer, {1: 2, 3: 301}, "Answer.retry_s out of range"),
    "a status that does not exist": (Reply, {1: COMMAND_ID, 2: 6}, "Reply.status out of range"),
}


class Inner(Message):
    FIELDS = ((1, "value", int, 0, 9),)
    value: int = 0


class Outer(Message):
    FIELDS = ((1, "one", Inner, 0, 0), (2, "many", [Inner], 0, 2), (3, "names", [str], 0, 2))
    one: "Inner | None" = None
    many: "list[Inner]" = []
    names: "list[str]" = []


def test_messages_are_written_as_the_tables_say_and_read_back() -> None:
    for what, (message, text) in WRITTEN.items():
        data = bytes.fromhex(text)
        assert message.encode() == data, (what, message.encode().hex())
        assert message.__class__.decode(data) == message, what


def test_what_breaks_a_row_is_refused_by_name() -> None:
    for what, (kind, value, reason) in REFUSED.items():
        error = raises(DecodeError, kind.decode, cbor.encode(value))
        assert str(error) == reason, (what, str(error))


def test_what_breaks_a_row_is_not_written() -> None:
    raises(EncodeError, Config(rev=0).encode)
    raises(EncodeError, State(online=True, boot=-1).encode)
    raises(EncodeError, Log(text="t" * 257).encode)
    raises(EncodeError, Batch(boot=1, entries=[]).encode)
    raises(EncodeError, State(online=True, heartbeat=Heartbeat(up_s=-1)).encode)
    raises(EncodeError, Command(id=COMMAND_ID, name="x", args={"f": {1, 2}}).encode)


def test_a_field_that_is_missing_or_unknown_is_a_mistake_of_the_program() -> None:
    assert str(raises(EncodeError, Batch, boot=1)) == "Batch.entries missing"
    assert str(raises(EncodeError, State, online=True, colour=1)) == "State.colour unknown"


def test_defaults_are_not_sent_but_understood() -> None:
    assert Log(boot=0, level=messages.LOG_INFO).encode() == b"\xa0"
    assert Log.decode(cbor.encode({1: 0, 3: messages.LOG_INFO, 5: ""})) == Log()


def test_keys_of_a_newer_far_end_are_ignored() -> None:
    data = cbor.encode({1: True, 2: 5, 999: [1, {2: 3}], -1: None, "note": "x"})
    assert State.decode(data) == State(online=True, boot=5)


def test_messages_nest_alone_and_in_lists() -> None:
    outer = Outer(one=Inner(value=1), many=[Inner(), Inner(value=2)], names=["a", "b"])
    assert outer.encode() == bytes.fromhex("a301a101010282a0a10102038261616162")
    assert Outer.decode(outer.encode()) == outer
    raises(DecodeError, Outer.decode, cbor.encode({2: [{}, {}, {}]}))
    raises(DecodeError, Outer.decode, cbor.encode({2: [{}, 1]}))
    raises(DecodeError, Outer.decode, cbor.encode({3: ["a", b"b"]}))


def test_equality_is_of_kind_and_content() -> None:
    assert Log(tag="a") == Log(tag="a")
    assert Log(tag="a") != Log(tag="b")
    assert Boot(firmware="1") != State(online=True)
    assert Boot(firmware="1") != None  # noqa: E711 - __eq__ must survive it


def test_a_message_to_a_node_is_small() -> None:
    for kind in (Command, Config):
        assert kind.MAX_SIZE == messages.MAX_DOWN_SIZE
        big = cbor.encode({1: 1, 9: b"\x00" * messages.MAX_DOWN_SIZE})
        assert "longer" in str(raises(DecodeError, kind.decode, big))
        wide = cbor.encode({1: 1, 9: [0] * messages.MAX_DOWN_ITEMS})
        assert "items" in str(raises(DecodeError, kind.decode, wide))
    raises(EncodeError, Config(rev=1, values={1: "v" * 2048}).encode)


def test_the_largest_batch_fits() -> None:
    entry = b"\x00" * 60
    data = Batch(boot=1, entries=[entry] * messages.MAX_ENTRIES).encode()
    assert len(data) <= cbor.MAX_SIZE
    assert len(Batch.decode(data).entries) == messages.MAX_ENTRIES


def test_only_plain_values_stand_in_maps() -> None:
    assert Reply.from_map({1: COMMAND_ID, 2: 3, 4: {"a": [1, {2: b"x"}]}}).result == {"a": [1, {2: b"x"}]}
    for value in (float("1.5"), {1}, object()):
        raises(DecodeError, Reply.from_map, {1: COMMAND_ID, 2: 3, 4: {"a": value}})


def test_the_identity_keeps_its_secret() -> None:
    identity = Identity(
        node="abc", kind="air", board="b", boot0=1, ca=b"c", cert=b"d", key=b"secret", brokers=["h:1"], wifi_psk="hush"
    )
    assert "secret" not in repr(identity)
    assert "hush" not in repr(identity)
    assert Identity.decode(identity.encode()).key == b"secret"
