"""A fleet manager in memory, and a node that it updates: for tests of the updater on both interpreters.

`Manager` holds keys by name, makes roots, releases, campaigns and payloads, and answers every Ask that a node sends.
`Node` is a flash with two slots that stage 0 starts. Nothing here waits: time moves when `Node.work` says so.
"""

from firmware.boot import choose
from firmware.tests.fakes import Files, Time
from firmware.tests.signer import Key
from node.core.slots import PATH as POINTER
from node.core.slots import Slots
from node.core.update import epoch, job, proof, updater  # noqa: F401 - a node forgets what was not there before it
from node.core.update.resident import Resident
from protocol import cose, manifest, trust
from protocol.identity import Identity
from protocol.messages import RESET_HARD, RESET_POWER_ON
from protocol.payload import FORMAT, INSERT, MAX_BITS
from protocol.refusals import U_UNAVAILABLE
from protocol.trust import Campaign, Epoch, Product, Release, Role, Root, Signed
from protocol.update import BASE, CONFIRMED, PAYLOAD, RELEASE, ROOT, TRIAL, WAITING, Ask, Block, Status

NOW_S = 1_800_000_000
YEAR_S = 31_536_000
NODE = "air-1"
OLD = {"node/app.mpy": b"the old program" * 40, "boards/x.mpy": b"a board"}
NEW = {"node/app.mpy": b"the new program" * 700, "boards/x.mpy": b"a board", "node/more/new.mpy": b"more" * 300}
KEYS = {}  # of all tests: making one takes a while


def key(name):
    if name not in KEYS:
        KEYS[name] = Key(name)
    return KEYS[name]


def stored(data):
    """`data` as a raw deflate stream that does not compress."""
    out = bytearray()
    for at in range(0, len(data) or 1, 0xFFFF):
        piece = data[at : at + 0xFFFF]
        size = len(piece)
        out.append(at + 0xFFFF >= len(data))
        out.extend(size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + piece)
    return bytes(out)


def insert(data):
    """The operations that insert `data`."""
    number = len(data) << 2 | INSERT
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out) + data if data else b""


def payload(document, contents):
    """A full payload: every file inserted. `contents` are {path: bytes} of the manifest `document`."""
    out = insert(document)
    for path in sorted(contents):
        out += insert(contents[path])
    return bytes((FORMAT, MAX_BITS)) + stored(out)


class Program:
    """A release and all that belongs to it; `contents` is what its manifest was made of."""

    def __init__(self, contents, document, release, envelope):
        self.contents = contents
        self.document = document  # the manifest
        self.manifest = manifest.digest(document)
        self.release = release
        self.digest = cose.digest(release)
        self.envelope = envelope
        self.payload = payload(document, contents)
        self.base = b""


class Manager:
    """Roots, releases and campaigns of one fleet, signed by the keys that `roles` names: {role: (threshold, names)};
    with a third item each signature has to name a report."""

    ROLES = {"root": (1, ["root"]), "build": (1, ["build"]), "campaign": (1, ["online"])}

    def __init__(self, roles=None, **changes):
        self.roots = []  # [envelope]
        self.programs = {}  # by digest of the release document
        self.counter = 0
        self.number = 0  # of epochs
        self.asked = []  # every Ask that was answered
        self.carry = lambda blocks: blocks  # what the way does to the answer to one Ask: a list of payloads
        self.root = None
        self.rotate(roles, **changes)

    def rotate(self, roles=None, by=None, **changes):
        """The next root. `by` are the names of its signers: by default those of the role root, old and new."""
        before = self.root
        self.roles = dict(self.ROLES if roles is None else roles)
        names = sorted({name for row in self.roles.values() for name in row[1]})
        values = {
            "version": before.version + 1 if before else 1,
            "issued": NOW_S,
            "expires": NOW_S + YEAR_S,
            "keys": [key(name).public for name in names],
            "roles": [
                Role(name=role, threshold=row[0], keys=[names.index(name) for name in row[1]], report=len(row) > 2)
                for role, row in sorted(self.roles.items())
            ],
            "products": [Product(name="air", roles=["build"] + [name for name in ("bench",) if name in self.roles])],
        }
        values.update(changes)
        self.root = Root(**values)
        self.document = self.root.encode()
        signers = by if by is not None else sorted(set((self.signers if before else []) + self.roles["root"][1]))
        self.signers = self.roles["root"][1]
        self.roots.append(self.sign(self.document, trust.ROOT_TYPE, signers))
        return self.roots[-1]

    def sign(self, document, typ, names, report=b"", root=0):
        """The envelope of a document. A name may be (name, report)."""
        rows = [name if isinstance(name, tuple) else (name, report) for name in names]
        made = [key(name).sign1(document, typ, seen) for name, seen in rows]
        return Signed(document=document, signatures=made, root=root).encode()

    def release(self, contents, sequence=2, by=("build",), document=None, **changes):
        """A release of a program, which can be asked for from now on. Returns the Program."""
        document = document or manifest.build("1.{}".format(sequence), contents).encode()
        values = {
            "product": "air",
            "version": "1.{}".format(sequence),
            "sequence": sequence,
            "issued": NOW_S,
            "expires": NOW_S + YEAR_S,
            "boards": ["esp32_air"],
            "chips": ["esp32"],
            "mpy": 6,
            "base_min": "1.24.0",
            "manifest": manifest.digest(document),
            "manifest_size": len(document),
            "size": sum([len(data) for data in contents.values()]),
            "sbom": bytes(32),
        }
        values.update(changes)
        made = Release(**values).encode()
        program = Program(contents, document, made, self.sign(made, trust.RELEASE_TYPE, list(by)))
        self.programs[program.digest] = program
        return program

    def campaign(self, program=None, by=("online",), hint=None, **changes):
        """The envelope of a campaign, by default to install `program` on NODE."""
        self.counter += 1
        values = {
            "counter": self.counter,
            "nodes": [NODE],
            "action": trust.INSTALL,
            "release": program.digest if program else b"",
            "issued": NOW_S,
            "expires": NOW_S + 86400,
            "nonce": bytes((self.counter,)) * 16,
        }
        values.update(changes)
        made = Campaign(**values).encode()
        return self.sign(made, trust.CAMPAIGN_TYPE, list(by), root=self.root.version if hint is None else hint)

    def stop(self, **changes):
        """The envelope of a campaign that stops what is at work."""
        return self.campaign(action=trust.STOP, **changes)

    def epoch(self, *halted, by=("online",), hint=None, typ=trust.EPOCH_TYPE, **changes):
        """The envelope of the next epoch, which halts these groups."""
        self.number += 1
        values = {"number": self.number, "issued": NOW_S, "halted": list(halted)}
        values.update(changes)
        return self.sign(Epoch(**values).encode(), typ, list(by), root=self.root.version if hint is None else hint)

    def boot(self, digest, **changes):
        """The envelope of a campaign that starts the other slot."""
        return self.campaign(action=trust.BOOT, manifest=digest, **changes)

    def whole(self, ask):
        """What is asked for as a whole, or None."""
        if ask.what == ROOT:
            return self.roots[ask.version - 1] if 0 < ask.version <= len(self.roots) else None
        program = self.programs.get(ask.release)
        if program is None:
            return None
        return {RELEASE: program.envelope, PAYLOAD: program.payload, BASE: program.base}[ask.what]

    def answer(self, data):
        """The payloads that come for an Ask, as the way lets them through."""
        ask = Ask.decode(data)
        self.asked.append(ask)
        return self.carry(self.blocks(ask))

    def blocks(self, ask):
        """The honest answer."""
        whole = self.whole(ask)
        if whole is None:
            return [Block(what=ask.what, code=U_UNAVAILABLE).encode()]
        name = cose.digest(whole)[:8]
        found = []
        for at in range(ask.offset, min(ask.offset + ask.size * ask.count, len(whole)), ask.size):
            data = whole[at : at + ask.size]
            found.append(Block(what=ask.what, id=name, offset=at, total=len(whole), data=data).encode())
        return found


class Base:
    """Two application partitions and otadata; the bootloader goes back when the image on trial does not confirm itself.

    `changed` is called before each change."""

    def __init__(self, size=1 << 16):
        self.size = size
        self.changed = lambda: None
        self.images = {"ota_0": bytearray(b"\xff" * size), "ota_1": bytearray(b"\xff" * size)}
        self.label = "ota_0"  # what runs
        self.good = "ota_0"
        self.next = ""  # chosen, and not started yet
        self.written = 0  # bytes

    @property
    def spare(self):
        return "ota_1" if self.label == "ota_0" else "ota_0"

    @property
    def data(self):
        return self.images[self.spare]

    def write(self, at, data):
        self.changed()
        self.written += len(data)
        self.data[at : at + len(data)] = data

    def read(self, at, into):
        into[:] = self.data[at : at + len(into)]

    def read_running(self, at, into):
        into[:] = self.images[self.label][at : at + len(into)]

    def activate(self):
        self.changed()
        self.next = self.spare

    def confirm(self):
        """What was chosen last is good, whether it runs or not: as ESP-IDF does it."""
        self.changed()
        self.good, self.next = self.next or self.label, ""

    def reset(self):
        """What the bootloader does at a reset."""
        self.label, self.next = self.next or self.good, ""


class Node:
    """A node of kind air that `manager` has provisioned. It runs slot a with the program OLD; `start` restarts it."""

    def __init__(self, manager, files=None, base=None, contents=None):
        self.files = files or Files(1 << 20)
        self.identity = Identity(
            node=NODE,
            kind="air",
            board="esp32_air",
            boot0=1,
            ca=b"c",
            cert=b"c",
            key=b"k",
            brokers=["b:1"],
            made=NOW_S - YEAR_S,
            root=manager.document if manager else b"",
            proof_key=b"p" * 32,
        )
        self.base = base
        self.boot = 0
        self.facts = ("esp32", 6, "1.26.0")
        self.settings = {"bench_required": False}
        self.events = []  # attributes of every event `update`
        self.statuses = []  # every Status
        self.lines = []
        self.steps = 0
        self.fill("a", OLD if contents is None else contents)
        self.start()

    def fill(self, slot, contents, version="1.1"):
        """Put a program into a slot, as over the cable."""
        for path in list(self.files.data):
            if path.startswith("/{}/".format(slot)):
                del self.files.data[path]
        for path, data in contents.items():
            self.files.data["/{}/{}".format(slot, path)] = bytearray(data)
        document = manifest.build(version, contents).encode()
        self.files.data["/{}/{}".format(slot, manifest.PATH)] = bytearray(document)

    def start(self, cause=RESET_POWER_ON, reason="", crash="", knows_time=True):
        """Restart: the bootloader, stage 0, then the program of the slot that it chooses, if that gets so far."""
        slot = self.stage_0()
        self.boot += 1
        self.time = Time()
        if knows_time:
            self.time.clock.set_utc((NOW_S + 60 * self.boot) * 1000)
        self.slots = Slots(self.files, slot)
        self.woken = False
        self.resident = Resident(
            self.files,
            self.slots,
            self.identity,
            self.facts,
            self.time.clock,
            self.boot,
            lambda name: self.settings[name],
            lambda below: 0,
            lambda level, tag, text: self.lines.append(text),
            self._publish,
            self._event,
            self.base,
        )
        self.resident.on_ready = self._wake
        self.resident.begin(cause, reason, crash)
        return slot

    def restart(self, *end):
        """What it asks for: on purpose, unless `end` says how it came instead."""
        assert self.resident.ready
        assert self.resident.depart()
        return self.start(*(end or (RESET_HARD, "update")))

    def stage_0(self):
        """One boot up to the choice of the slot: a program that dies at once gets no further."""
        if self.base is not None:
            self.base.reset()
        slot, pointer = choose(self.files.read(POINTER) or b"")
        if pointer:
            self.files.write_atomic(POINTER, pointer)
        return slot

    def _publish(self, data):
        self.statuses.append(Status.decode(data))
        return True

    def _event(self, attrs):
        self.events.append(attrs)
        return True

    def _wake(self):
        self.woken = True

    def work(self, manager, until=None, limit=5000):
        """Let the updater work, with `manager` at the other end; `until(node)` says after which step the run ends."""
        while self.resident.busy:
            for step in self.resident.work():
                self.steps += 1
                limit -= 1
                assert limit > 0, "it never ends"
                self.woken = False
                if isinstance(step, bytes):
                    for block in manager.answer(step):
                        self.resident.block(block)
                elif step is not None and not self.woken:
                    self.time.sleep(step)
                if until is not None and until(self):
                    return

    def order(self, manager, envelope, **options):
        """A session in which the campaign comes, and everything that follows."""
        self.resident.up()
        self.resident.offer(envelope)
        self.work(manager, **options)
        return self.status

    def hear(self, manager, envelope, **options):
        """An epoch comes, and everything that follows; the last status."""
        self.resident.halt(envelope)
        self.work(manager, **options)
        return self.status

    def confirm(self, manager):
        """The program on trial says so, and proves itself."""
        self.resident.up()
        self.work(manager)
        assert self.status.stage == TRIAL, self.status
        self.resident.confirm()
        self.work(manager)
        assert self.status.stage == CONFIRMED, self.status

    def update(self, manager, program):
        """A whole update to `program`, up to its confirmation."""
        assert self.order(manager, manager.campaign(program)).stage == WAITING, self.status
        self.start()
        self.confirm(manager)

    @property
    def status(self):
        """The last one."""
        return self.statuses[-1]
