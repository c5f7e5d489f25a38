"""Every attack is refused with a code of its own, and changes nothing but what the updater remembers of it."""

from firmware.tests.manager import NEW, NOW_S, OLD, Manager, Node, insert, key, payload, stored
from node.core.update.record import DOWNLOAD, PATH
from protocol import manifest, trust, update
from protocol import refusals as u
from protocol.manifest import File, Manifest
from protocol.payload import FORMAT, MAX_BITS
from protocol.update import Block

BENCH = {"root": (1, ["root"]), "build": (1, ["build"]), "campaign": (1, ["online"]), "bench": (1, ["bench"], "report")}
TWO = {"root": (2, ["root", "other root"]), "build": (2, ["build", "other build"]), "campaign": (1, ["online"])}


def flash(node):
    """Everything but what the updater remembers and has fetched."""
    return {path: bytes(data) for path, data in node.files.data.items() if path not in (PATH, DOWNLOAD)}


def attack(envelope, manager, node, code, sentence, stage=update.REFUSED):
    """`envelope` is refused with `code`, nothing changes, and once more it is refused alike without being judged."""
    before = flash(node)
    status = node.order(manager, envelope)
    assert (status.stage, status.code) == (stage, code), (sentence, status, node.lines)
    assert flash(node) == before, sentence
    assert not node.resident.ready, sentence
    assert [(event[2], event[3]) for event in node.events] == [(stage, code)], (sentence, node.events)
    asked = len(manager.asked)
    again = node.order(manager, envelope)
    assert (again.stage, again.code, len(manager.asked)) == (stage, code, asked), sentence
    assert len(node.events) == 1, sentence
    assert node.start() == "a"
    return status


def test_a_release_that_was_not_signed_as_the_root_says_is_refused():
    rows = {
        "wrong key": (None, ["stranger"], u.U_UNKNOWN_KEY),
        "no signature: the online key was stolen, and chooses what nobody signed": (None, [], u.U_UNSIGNED),
        "signed by the stolen online key itself": (None, ["online"], u.U_WRONG_ROLE),
        "signed by the key of the root alone": (None, ["root"], u.U_WRONG_ROLE),
        "one signature too few": (TWO, ["build"], u.U_TOO_FEW),
        "one key twice": (TWO, ["build", "build"], u.U_TOO_FEW),
        "a stranger makes up the number": (TWO, ["build", "stranger"], u.U_TOO_FEW),
        "bench signature missing": (BENCH, ["build"], u.U_ROLE_MISSING),
        "bench signature over no report": (BENCH, ["build", "bench"], u.U_NO_REPORT),
        "build signature missing": (BENCH, [("bench", b"r" * 32)], u.U_WRONG_ROLE),
    }
    for sentence, row in rows.items():
        manager = Manager(row[0])
        program = manager.release(NEW, by=row[1])
        attack(manager.campaign(program), manager, Node(manager), row[2], sentence)


def test_a_release_that_the_bench_has_signed_over_its_report_is_taken():
    manager = Manager(BENCH)
    node = Node(manager)
    program = manager.release(NEW, by=["build", ("bench", b"r" * 32)])
    assert node.order(manager, manager.campaign(program)).stage == update.WAITING


def test_a_node_can_be_set_to_need_the_bench_whatever_the_root_says():
    manager = Manager()
    node = Node(manager)
    node.settings["bench_required"] = True
    attack(manager.campaign(manager.release(NEW)), manager, node, u.U_ROLE_MISSING, "no such role in the root")


def test_a_signature_that_does_not_hold_is_refused_whoever_else_signed():
    for sentence in ("another document", "another type", "a flipped bit"):
        manager = Manager()
        program = manager.release(NEW)
        signed = trust.Signed.decode(program.envelope)
        if sentence == "another document":
            signed.signatures = [key("build").sign1(b"something else", trust.RELEASE_TYPE)]
        elif sentence == "another type":
            signed.signatures = [key("build").sign1(program.release, trust.CAMPAIGN_TYPE)]
        else:
            data = bytearray(signed.signatures[0])
            data[-1] ^= 1
            signed.signatures = [bytes(data)]
        program.envelope = signed.encode()
        attack(manager.campaign(program), manager, Node(manager), u.U_BAD_SIGNATURE, sentence)


def test_a_release_that_is_not_for_this_node_is_refused():
    rows = {
        "expired release": ({"expires": NOW_S - 1}, u.U_EXPIRED),
        "other product": ({"product": "light"}, u.U_PRODUCT),
        "other board class": ({"boards": ["esp32_light", "esp32s3_air"]}, u.U_BOARD),
        "other chip": ({"chips": ["esp32s3"]}, u.U_CHIP),
        "wrong mpy ABI": ({"mpy": 5}, u.U_ABI),
        "a newer MicroPython is needed": ({"base_min": "1.27.0"}, u.U_BASE_OLD),
        "it comes with a MicroPython, and there is no room for two": (
            {"base_version": "1.27.0", "base_size": 8, "base": bytes(32)},
            u.U_NO_PARTITION,
        ),
    }
    for sentence, row in rows.items():
        manager = Manager()
        program = manager.release(NEW, **row[0])
        attack(manager.campaign(program), manager, Node(manager), row[1], sentence)


def test_no_release_below_the_floor_comes_back():
    manager = Manager()
    node = Node(manager)
    node.order(manager, manager.campaign(manager.release(NEW, sequence=5, floor=4)))
    assert node.start() == "b"
    node.resident.confirm()
    node.work(manager)
    assert (node.status.stage, node.status.floor) == (update.CONFIRMED, 4)
    old = dict(OLD)
    old["node/app.mpy"] = b"with a hole"
    del node.events[:]
    before = flash(node)
    status = node.order(manager, manager.campaign(manager.release(old, sequence=3)))
    assert (status.stage, status.code) == (update.REFUSED, u.U_ROLLBACK), "replayed older release"
    spare = status.spare
    status = node.order(manager, manager.boot(spare))
    assert (status.stage, status.code) == (update.REFUSED, u.U_ROLLBACK), "nor from the other slot"
    assert flash(node) == before
    assert node.order(manager, manager.campaign(manager.release(old, sequence=4))).stage == update.WAITING


def escaping(path):
    files = [File(path=path, size=4, sha256=manifest.digest(b"evil"))]
    return Manifest(version="1", files=files).encode()


def tampered(blocks):
    """The last byte of every block of a payload is another."""
    found = []
    for data in blocks:
        block = Block.decode(data)
        if block.what == update.PAYLOAD:
            block.data = block.data[:-1] + bytes((block.data[-1] ^ 1,))
        found.append(block.encode())
    return found


def endless(blocks):
    found = []
    for data in blocks:
        block = Block.decode(data)
        block.total = 0xFFFFFF if block.what == update.PAYLOAD else block.total
        found.append(block.encode())
    return found


def test_a_payload_that_is_not_the_signed_one_is_refused_and_the_other_slot_keeps_what_it_has():
    other = dict(NEW)
    other["node/app.mpy"] = NEW["node/app.mpy"].upper()
    longer = dict(NEW)
    longer["node/app.mpy"] = NEW["node/app.mpy"] + b"x" * 3000
    rows = {
        "tampered file": (u.U_FILE, lambda manager, program: payload(program.document, other)),
        "mix-and-match of two releases": (
            u.U_MIXED,
            lambda manager, program: payload(manager.release(other, sequence=9).document, other),
        ),
        "more than was signed": (u.U_OVERSIZE, lambda manager, program: payload(program.document, longer)),
        "no payload at all": (u.U_PAYLOAD, lambda manager, program: b"anything"),
        "no deflate stream": (u.U_PAYLOAD, lambda manager, program: bytes((FORMAT, MAX_BITS)) + b"\xff" * 50),
        "it ends early": (
            u.U_PAYLOAD,
            lambda manager, program: bytes((FORMAT, MAX_BITS)) + stored(insert(program.document)),
        ),
    }
    for sentence, row in rows.items():
        manager = Manager()
        node = Node(manager)
        node.fill("b", {"node/app.mpy": b"the program before"}, "0.9")
        program = manager.release(NEW)
        program.payload = row[1](manager, program)
        attack(manager.campaign(program), manager, node, row[0], sentence, update.FAILED)


def test_blocks_that_are_not_those_of_the_payload_are_refused():
    for sentence, row in {"tampered block": (tampered, u.U_PAYLOAD), "endless data": (endless, u.U_OVERSIZE)}.items():
        manager = Manager()
        manager.carry = row[0]
        attack(manager.campaign(manager.release(NEW)), manager, Node(manager), row[1], sentence, update.FAILED)


def test_how_long_a_payload_may_be():
    for more, code in ((0, u.U_PAYLOAD), (1, u.U_OVERSIZE)):
        manager = Manager()
        program = manager.release(NEW)
        signed = len(program.document) + sum([len(data) for data in NEW.values()])
        program.payload = bytes(signed + signed // 64 + 1024 + more)
        attack(manager.campaign(program), manager, Node(manager), code, more, update.FAILED)


def test_no_path_leaves_the_slot():
    for path in ("../boot.py", "/boot.py", "node/../../boot.py", "manifest.cbor", "a//b"):
        manager = Manager()
        program = manager.release({path: b"evil"}, document=escaping(path))
        attack(manager.campaign(program), manager, Node(manager), u.U_PATH, path, update.FAILED)


def test_a_campaign_of_somebody_else_is_refused():
    rows = {
        "forged campaign": ({"by": ["stranger"]}, u.U_CAMPAIGN_FORGED),
        "not signed at all": ({"by": []}, u.U_CAMPAIGN_FORGED),
        "signed by who signs releases": ({"by": ["build"]}, u.U_CAMPAIGN_FORGED),
        "frozen campaign": ({"expires": NOW_S - 1}, u.U_CAMPAIGN_STALE),
        "for another node": ({"nodes": ["air-2", "air-11"]}, u.U_NOT_ADDRESSED),
        "a release that it does not name": ({"release": bytes(32)}, u.U_UNAVAILABLE),
    }
    for sentence, row in rows.items():
        manager = Manager()
        attack(manager.campaign(manager.release(NEW), **row[0]), manager, Node(manager), row[1], sentence)


def test_an_old_campaign_is_refused():
    manager = Manager()
    node = Node(manager)
    first = manager.campaign(manager.release(NEW))
    node.order(manager, manager.stop())
    del node.events[:]
    attack(first, manager, node, u.U_CAMPAIGN_REPLAYED, "replayed campaign")


def test_a_clock_that_was_wrong_for_a_while_costs_no_order():
    manager = Manager()
    node = Node(manager)
    envelope = manager.campaign(manager.release(NEW))
    node.time.clock.set_utc((NOW_S + 40000000) * 1000)  # somebody answered for the time server
    for _ in range(3):
        assert node.order(manager, envelope).code == u.U_CAMPAIGN_STALE
    assert len(node.events) == 1, "what is said once is not said again"
    node.time.clock.set_utc(NOW_S * 1000)
    assert node.order(manager, envelope).stage == update.WAITING


def test_another_signed_release_than_the_campaign_names_is_refused():
    manager = Manager()
    program = manager.release(NEW)
    program.envelope = manager.release(OLD, sequence=1).envelope
    attack(manager.campaign(program), manager, Node(manager), u.U_OTHER_RELEASE, "swapped")


def test_without_a_root_nothing_is_taken():
    manager = Manager()
    attack(manager.campaign(manager.release(NEW)), manager, Node(None), u.U_NO_ROOT, "no root")


def test_under_an_expired_root_nothing_begins():
    manager = Manager(expires=NOW_S - 1)
    attack(manager.campaign(manager.release(NEW)), manager, Node(manager), u.U_ROOT_EXPIRED, "expired root")


def test_bytes_that_are_no_envelope_are_refused():
    manager = Manager()
    program = manager.release(NEW)
    good = manager.campaign(program)
    signed = trust.Signed.decode(good)
    signed.signatures = [b"\xa0"]
    for sentence, data in {
        "nothing": b"",
        "garbage": b"\xff" * 40,
        "cut short": good[:-1],
        "no campaign": manager.sign(b"\xa0", trust.CAMPAIGN_TYPE, ["online"]),
        "no signature": signed.encode(),
    }.items():
        attack(data, manager, Node(manager), u.U_MALFORMED, sentence)


def test_a_root_without_the_old_keys_or_the_new_ones_is_refused():
    stolen = {"root": (1, ["stranger"]), "build": (1, ["stranger build"]), "campaign": (1, ["online"])}
    more = dict(TWO)
    more["root"] = (2, ["root", "third root"])
    rows = {
        "root rotation without the old threshold": (None, stolen, ["stranger"], {}, u.U_ROOT_OLD),
        "one of two old keys": (TWO, more, ["root", "third root"], {}, u.U_ROOT_OLD),
        "without the new threshold": (None, TWO, ["root"], {}, u.U_ROOT_NEW),
        "not signed": (None, None, [], {}, u.U_ROOT_OLD),
        "a version is left out": (None, None, ["root"], {"version": 3}, u.U_ROOT_VERSION),
        "the same version again": (None, None, ["root"], {"version": 1}, u.U_ROOT_VERSION),
    }
    for sentence, row in rows.items():
        manager = Manager(row[0])
        node = Node(manager)
        program = manager.release(NEW, by=["stranger build"])
        manager.rotate(row[1], by=row[2], **row[3])
        before = flash(node)
        status = node.order(manager, manager.campaign(program, hint=2))
        assert (status.stage, status.code, status.root) == (update.REFUSED, row[4], 1), (sentence, status)
        assert flash(node) == before, sentence


def test_no_way_around_the_floor_of_a_release_by_the_other_slot():
    """A stolen online key starts what was installed and stopped: the floor rises all the same."""
    manager = Manager()
    node = Node(manager)
    program = manager.release(NEW, sequence=5, floor=5)
    node.order(manager, manager.campaign(program))
    node.order(manager, manager.stop())
    assert node.order(manager, manager.boot(program.manifest)).stage == update.WAITING
    assert node.start() == "b"
    node.confirm(manager)
    assert node.status.floor == 5
    status = node.order(manager, manager.boot(node.status.spare))
    assert (status.stage, status.code) == (update.REFUSED, u.U_ROLLBACK)


def test_a_floor_of_stolen_keys_does_not_come_back_with_the_other_slot():
    manager = Manager()
    node = Node(manager)
    high = manager.release(NEW, sequence=0xFFFFFFFF, floor=0xFFFFFFFF)
    node.update(manager, high)
    manager.rotate({"root": (1, ["root"]), "build": (1, ["build 2"]), "campaign": (1, ["online"])})
    good = manager.release(OLD, sequence=6, floor=6, by=["build 2"])
    node.update(manager, good)
    assert node.status.floor == 6
    assert node.order(manager, manager.boot(high.manifest)).stage == update.WAITING
    node.start()
    node.confirm(manager)
    assert node.status.floor == 6
