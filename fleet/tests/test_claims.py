"""Claims: what a proved board gets, what is refused and why, and that a request is worth nothing to anybody else."""

import hmac
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from fleet import claims, pki, provision
from fleet.claims import Step, TicketRequest, decide, mac_of, secret_of
from fleet.errors import ConfigError, NotAllowedError, NotFoundError, UsageError
from fleet.model import Claimed, Kind, Node, Standing
from fleet.store.intake import Rows
from fleet.store.nodes import NodeView
from fleet.tests.claim_rig import MAC, NOW, Board, Office
from protocol import cbor, claim
from protocol.claim import Answer, Claim
from protocol.errors import DecodeError
from protocol.hmac import hmac_sha256
from protocol.identity import Identity

OTHER = bytes.fromhex("240ac4000002")
ASKED = Claim(mac=MAC, batch="b7", until=NOW + 10, nonce=b"n", kind="air", board="esp32_air", firmware="0.1.0")
KNOWN = Claimed(MAC.hex(), "air-1", "b7", NOW + 10, "0.1.0", NOW - 5, NOW - 1)


def view(standing: Standing, seen: bool = False) -> NodeView:
    return NodeView(Node("air-1", Kind.AIR, "esp32_air", standing), None, NOW if seen else None, 0)


PENDING, ACCEPTED, RETIRED = view(Standing.PENDING), view(Standing.ACCEPTED), view(Standing.RETIRED)
IN_SERVICE = view(Standing.ACCEPTED, seen=True)
OLDER, NEWER, SIDEWAYS = (
    replace(KNOWN, until_s=NOW + 20),
    replace(KNOWN, until_s=NOW + 5),
    replace(KNOWN, batch="b8"),
)

# sentence: (claim, known, node, the batch is full, what is done, why)
DECISIONS = {
    "a board that was never heard of waits": (ASKED, None, None, False, Step.ENTER, ""),
    "one too many of a batch": (ASKED, None, None, True, Step.REFUSE, "too many boards of this batch wait"),
    "one that waits goes on waiting": (ASKED, KNOWN, PENDING, False, Step.WAIT, ""),
    "also when its batch is full": (ASKED, KNOWN, PENDING, True, Step.WAIT, ""),
    "one that was accepted gets its identity": (ASKED, KNOWN, ACCEPTED, False, Step.ISSUE, ""),
    "and again while it was never heard of: the answer was lost": (
        ASKED, replace(KNOWN, issues=9), ACCEPTED, False, Step.ISSUE, "",
    ),
    "but not for ever": (ASKED, replace(KNOWN, issues=10), ACCEPTED, False, Step.REFUSE, "too many identities"),
    "one that has connected never": (ASKED, KNOWN, IN_SERVICE, False, Step.REFUSE, "in service as air-1"),
    "one that was refused": (ASKED, KNOWN, RETIRED, False, Step.REFUSE, "not wanted"),
    "a ticket on its last second": (ASKED, KNOWN, PENDING, False, Step.WAIT, ""),
    "an expired ticket": ("expired", None, None, False, Step.REFUSE, "expired"),
    "an expired ticket of a board that was accepted": ("expired", KNOWN, ACCEPTED, False, Step.REFUSE, "expired"),
    "an older ticket than the one that was used": (ASKED, OLDER, PENDING, False, Step.REFUSE, "a newer ticket"),
    "another ticket of the same end": (ASKED, SIDEWAYS, PENDING, False, Step.REFUSE, "a newer ticket"),
    "a newer ticket of a board that waits": (ASKED, NEWER, PENDING, False, Step.WAIT, ""),
    "a newer ticket of a board that was accepted": (ASKED, NEWER, ACCEPTED, False, Step.ISSUE, ""),
    "a newer ticket of a board in service": (ASKED, NEWER, IN_SERVICE, False, Step.REFUSE, "in service"),
    "a newer ticket of a board that was refused": (ASKED, NEWER, RETIRED, False, Step.ENTER, ""),
    "the same when its batch is full": (ASKED, NEWER, RETIRED, True, Step.REFUSE, "too many boards"),
    "a kind that does not exist": ("kind", None, None, False, Step.REFUSE, "makes no sense"),
    "a board with a path for a name": ("board", None, None, False, Step.REFUSE, "makes no sense"),
    "a version that moves the cursor": ("firmware", None, None, False, Step.REFUSE, "makes no sense"),
    "an id that is none": ("node", None, None, False, Step.REFUSE, "makes no sense"),
}  # fmt: skip
CLAIMS = {
    "expired": Claim(mac=MAC, batch="b7", until=NOW - 1, kind="air", board="x"),
    "kind": Claim(mac=MAC, batch="b7", until=NOW + 10, kind="root", board="x"),
    "board": Claim(mac=MAC, batch="b7", until=NOW + 10, kind="air", board="../x"),
    "firmware": Claim(mac=MAC, batch="b7", until=NOW + 10, kind="air", board="x", firmware="\x1b[2J"),
    "node": Claim(mac=MAC, batch="b7", until=NOW + 10, kind="air", board="x", node="A B"),
}


@pytest.mark.parametrize("sentence", DECISIONS)
def test_decisions(sentence: str) -> None:
    asked, known, node, full, step, reason = DECISIONS[sentence]
    found = decide(CLAIMS[asked] if isinstance(asked, str) else asked, known, node, full, NOW)
    assert found[0] is step
    assert reason in found[1]
    assert bool(found[1]) is (step is Step.REFUSE)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "fleet")
    yield made
    made.store.close()


def revoked(office: Office) -> list[int]:
    found = x509.load_pem_x509_crl((office.config.ca_dir / "crl.pem").read_bytes())
    return [entry.serial_number for entry in found]


def test_a_board_waits_is_accepted_and_gets_what_it_needs(office: Office) -> None:
    board = office.board(node="air-17")
    assert office.desk.answer(board.request()).status == claim.CHALLENGE
    waiting = office.ask(board)
    assert (waiting.status, waiting.retry_s) == (claim.PENDING, 1)
    node = office.store.nodes.get("air-17")
    assert (node.standing, node.kind, node.board, node.cert_serial) == (Standing.PENDING, Kind.AIR, "esp32_air", 0)
    assert node.tags == {"batch": "b7", "mac": MAC.hex()}
    assert "air-17" not in [user.name for user in provision.users(office.config, office.store.nodes)]
    office.accept("air-17")
    assert "air-17" not in [user.name for user in provision.users(office.config, office.store.nodes)]
    issued = office.ask(board)
    assert issued.status == claim.ISSUED
    identity = Identity.decode(issued.identity)
    node = office.store.nodes.get("air-17")
    cert = x509.load_der_x509_certificate(identity.cert)
    assert (identity.node, identity.kind, identity.board) == ("air-17", "air", "esp32_air")
    assert (node.standing, node.cert_serial) == (Standing.ACCEPTED, cert.serial_number)
    assert (identity.wifi_ssid, identity.made, identity.boot0) == ("", NOW, NOW // 60)
    assert "air-17" in [user.name for user in provision.users(office.config, office.store.nodes)]
    assert any("waits to be accepted as air-17" in line for line in office.log.lines)
    assert any("gets the identity of air-17 for the first time" in line for line in office.log.lines)


def test_the_private_key_is_nowhere_on_the_server(office: Office, tmp_path: Path) -> None:
    board = office.board()
    office.ask(board)
    office.accept(MAC.hex())
    key = Identity.decode(office.ask(board).identity).key
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or key not in path.read_bytes(), path
    assert board.ticket.secret.hex() not in "\n".join(office.log.lines)


def test_an_answer_that_was_lost_is_given_again_and_the_certificate_before_is_revoked(office: Office) -> None:
    board = office.board()
    office.ask(board)
    office.accept(MAC.hex())
    first, second = (Identity.decode(office.ask(board).identity) for _ in range(2))
    assert first.key != second.key
    serial = x509.load_der_x509_certificate(first.cert).serial_number
    assert revoked(office) == [serial]
    found = office.store.claims.of(MAC.hex())
    assert found is not None
    assert (found.issues, found.issued_s, found.accepted_by) == (2, NOW, "ops@test")


def test_nothing_is_issued_after_the_first_session(office: Office) -> None:
    board = office.board()
    office.ask(board)
    office.accept(MAC.hex(), "air-17")
    assert office.ask(board).status == claim.ISSUED
    rows = Rows()
    rows.seen = {office.store.nodes.keys()["air-17"]: NOW * 1000}
    intake = office.store.intake()
    intake.write(rows)
    intake.close()
    again = office.ask(board)
    assert (again.status, again.identity, again.reason) == (
        claim.REFUSED, b"", "this board is in service as air-17",
    )  # fmt: skip


def forged(board: Board) -> bytes:
    return board.request(bytes(32))


def another_chip(board: Board) -> bytes:
    return replace(board, mac=OTHER).request()


def another_batch(board: Board) -> bytes:
    return replace(board, says={"batch": "b8"}).request()


def a_longer_life(board: Board) -> bytes:
    return replace(board, says={"until": board.ticket.until + 1}).request()


def a_flipped_bit(board: Board) -> bytes:
    good = claim.Request.decode(board.request())
    asked = bytearray(good.claim)
    asked[-1] ^= 1
    return claim.Request(claim=bytes(asked), proof=good.proof).encode()


NOT_PROVED = {
    "a proof under another secret": forged,
    "a ticket that was made for another chip": another_chip,
    "a ticket of another batch": another_batch,
    "a ticket that was made to live longer": a_longer_life,
    "a request that was changed on its way": a_flipped_bit,
}


@pytest.mark.parametrize("sentence", NOT_PROVED)
def test_without_a_proof_nothing_is_told_and_nothing_is_written(office: Office, sentence: str) -> None:
    board = office.board()
    board.nonce = office.desk.answer(board.request()).nonce
    answer = office.desk.answer(NOT_PROVED[sentence](board))
    assert answer == Answer(status=claim.REFUSED, retry_s=300, reason="not proved")
    assert office.store.nodes.all() == []
    assert office.ask(board).status == claim.PENDING, "a forger must not take the nonce of a board"


def test_a_request_that_was_recorded_is_worth_nothing(office: Office) -> None:
    board = office.board()
    office.ask(board)
    office.accept(MAC.hex())
    recorded = board.request()
    assert office.desk.answer(recorded).status == claim.ISSUED
    for _ in range(2):
        answer = office.desk.answer(recorded)
        assert (answer.status, answer.identity) == (claim.CHALLENGE, b"")
    office.restart()
    assert office.desk.answer(recorded).status == claim.CHALLENGE
    assert revoked(office) == []


def test_a_nonce_grows_old(office: Office) -> None:
    board = office.board()
    office.ask(board)
    office.now_s += claims.NONCE_S + 1
    assert office.desk.answer(board.request()).status == claim.CHALLENGE


def test_a_ticket_ends(office: Office) -> None:
    board = office.board(days=1)
    office.ask(board)
    office.accept(MAC.hex())
    office.now_s += 86401
    answer = office.ask(board)
    assert (answer.status, answer.reason) == (claim.REFUSED, "the ticket has expired")


def test_a_batch_is_bounded_and_another_is_not_in_its_way(tmp_path: Path) -> None:
    office = Office(tmp_path / "fleet", pending=3)
    boards = [office.board(bytes([0, 0, 0, 0, 0, number])) for number in range(4)]
    assert [office.ask(board).status for board in boards] == [claim.PENDING] * 3 + [claim.REFUSED]
    assert office.ask(office.board(OTHER, "b8")).status == claim.PENDING
    office.accept(boards[0].mac.hex())
    assert office.ask(boards[3]).status == claim.PENDING
    office.store.close()


def test_an_id_that_is_taken_gets_a_number(office: Office) -> None:
    office.ask(office.board(node="air-17"))
    office.ask(office.board(OTHER, node="air-17"))
    assert [node.id for node in office.store.nodes.all()] == ["air-17", "air-17-2"]
    assert office.store.claims.find("air-17-2").mac == OTHER.hex()


def test_a_board_that_was_refused_comes_back_with_a_new_ticket_only(office: Office) -> None:
    board = office.board()
    office.ask(board)
    name = office.store.claims.find(MAC.hex()).node
    provision.Provisioner(office.config, office.store.nodes).retire(name)
    assert office.ask(board).reason == "this board is not wanted"
    assert revoked(office) == []
    again = office.board(days=400)
    assert office.ask(again).status == claim.PENDING
    assert office.store.claims.find(MAC.hex()).node == f"{name}-2"
    assert office.ask(board).reason == "there is a newer ticket for this board"


def test_refusals_and_forgeries_are_logged_once_not_at_every_question(office: Office) -> None:
    board = office.board(days=1)
    office.now_s += 86401
    for _ in range(5):
        office.ask(board)
        office.desk.answer(forged(board))
    assert len([line for line in office.log.lines if "expired" in line]) == 1
    assert len([line for line in office.log.lines if "without proof" in line]) == 1
    office.now_s += 60
    office.desk.answer(forged(board))
    assert "6 without proof" in office.log.lines[-1]


def test_what_is_remembered_is_bounded() -> None:
    recent = claims.Recent(3)
    for number in range(10):
        recent.put(bytes([number]), b"x", 1.0)
    assert [recent.take(bytes([number]))[0] for number in range(10)] == [b""] * 7 + [b"x"] * 3


@given(st.binary(max_size=700))
def test_what_is_no_request_is_a_decode_error(data: bytes) -> None:
    desk = claims.Desk.__new__(claims.Desk)
    desk._key = bytes(32)
    with pytest.raises(DecodeError):
        desk.answer(data)


def test_secrets_of_tickets_are_those_of_the_specification() -> None:
    key = bytes(range(32))
    text = b"lumenair claim secret 1\x00" + cbor.encode(["b7", MAC, NOW])
    assert secret_of(key, "b7", MAC, NOW) == hmac_sha256(key, text) == hmac.digest(key, text, "sha256")
    others = [
        secret_of(key, "b", b"7" + MAC, NOW),
        secret_of(key, "b7", MAC, NOW + 1),
        secret_of(bytes(32), "b7", MAC, NOW),
    ]
    assert len({secret_of(key, "b7", MAC, NOW), *others}) == 4


@given(st.binary(max_size=64), st.binary(max_size=300))
def test_our_codes_are_those_of_the_library(key: bytes, message: bytes) -> None:
    assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")


def test_a_ticket_says_where_to_ask_and_whom_to_trust(office: Office) -> None:
    found = office.board(wifi_ssid="net", wifi_psk="hush", node="air-17").ticket
    assert found.urls == [f"https://localhost:{office.config.claim.port}/api/v1/claim"]
    authority = pki.load_cert(office.config.ca_dir / "ca.pem")
    assert x509.load_der_x509_certificate(found.ca) == authority
    assert (found.wifi_ssid, found.wifi_psk, found.node) == ("net", "hush", "air-17")
    assert (found.made, found.until) == (NOW, NOW + 365 * 86400)
    assert found.ntp == ["pool.ntp.org"]


MISTAKES = {
    "a batch with a space": {"batch": "b 7"},
    "a batch without a name": {"batch": ""},
    "a board with a path": {"board": "../x"},
    "an id that is none": {"node": "Air 17"},
}


@pytest.mark.parametrize("sentence", MISTAKES)
def test_a_ticket_that_makes_no_sense_is_not_made(office: Office, sentence: str) -> None:
    values = {"mac": MAC, "batch": "b7", "kind": Kind.AIR, "board": "esp32_air", **MISTAKES[sentence]}
    with pytest.raises(UsageError):
        claims.ticket(office.config, TicketRequest(**values), NOW)  # type: ignore[arg-type]


def test_macs_are_read_as_people_write_them() -> None:
    assert {mac_of(text) for text in ("24:0A:C4:00:00:01", "240ac4000001", "24-0a-c4-00-00-01")} == {MAC}
    for text in ("240ac400000", "240ac40000012", "240ac400000g", ""):
        with pytest.raises(UsageError):
            mac_of(text)


def test_accepting_what_is_not_there_or_not_waiting_is_refused(office: Office) -> None:
    board = office.board(node="air-17")
    office.ask(board)
    office.ask(office.board(OTHER, node="air-18"))
    with pytest.raises(NotFoundError, match="air-19"):
        claims.pending(office.store, ["air-19"], "", NOW)
    one = office.store.claims.find("24:0A:C4:00:00:01")
    for name in ("Air 17", "a"):
        with pytest.raises(UsageError):
            claims.accept(office.store, one, name, "ops", NOW)
    with pytest.raises(NotAllowedError, match="there is a node air-18 already"):
        claims.accept(office.store, one, "air-18", "ops", NOW)
    assert [found.node for found, _ in claims.pending(office.store, [], "batch=b7", NOW)] == ["air-17", "air-18"]
    claims.accept(office.store, one, "pole-9", "ops", NOW)
    with pytest.raises(NotAllowedError, match="pole-9 is accepted already"):
        claims.pending(office.store, ["pole-9"], "", NOW)
    with pytest.raises(NotAllowedError, match="does not wait"):
        claims.accept(office.store, one, "pole-10", "ops", NOW)
    assert [found.node for found, _ in claims.pending(office.store, [], "batch=b7", NOW)] == ["air-18"]


@pytest.mark.parametrize("text", ["", "00", "xyz", "00" * 33])
def test_a_claim_key_that_is_damaged_is_told(office: Office, text: str) -> None:
    office.config.claim_key_file.write_text(text)
    with pytest.raises(ConfigError, match="damaged"):
        office.restart()
    office.config.claim_key_file.unlink()
    with pytest.raises(NotFoundError) as caught:
        office.restart()
    assert "fleet init" in caught.value.hint
