"""Use case: is this fleet well, and if not, why and what to do.

A check is a function from what is known to findings; it never raises. `examine` runs them in an order in which the
first failure is the likely cause of those after it.
"""

import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from fleet import config as settings
from fleet import nodes, pki, signing, status, watch
from fleet.boards.unfinished import Unfinished
from fleet.broker import binary, control
from fleet.config import EMBEDDED, Config
from fleet.errors import FleetError
from fleet.model import TQ_AHEAD, Standing
from fleet.signing import publish
from fleet.store import Store
from fleet.store.nodes import NodeView

OK = "ok"
WARN = "warn"
FAIL = "fail"

EXPIRES_SOON_S = 60 * 86400  # time enough to reach every pole
ROOT_SOON_S = 90 * 86400  # several people may have to meet for the next one
DISK_FAIL = 200 << 20  # bytes: less than the broker and the database may need within an hour
DISK_WARN = 2 << 30
SILENT_S = 900  # three heartbeats of 300 s
REFUSED_S = 86400  # refused messages of this time are news
AHEAD_S = 5  # a record that ends later than it arrived by more: two clocks disagree
AUDITED = 1000  # entries of the audit log that are checked here
_NAMES = 3  # nodes that are named; the rest is counted


@dataclass(frozen=True)
class Finding:
    """What one check found. `hint` is the next step, empty when all is well."""

    check: str
    status: str
    text: str
    hint: str = ""


@dataclass
class Patient:
    """What the checks look at."""

    config: Config
    store: Store
    override: str | None  # FLEET_NATS_SERVER
    now_s: int
    quick: bool
    views: list[NodeView] = field(default_factory=list)
    running: bool = False


Check = Callable[[Patient], Iterator[Finding]]


def examine(directory: Path, override: str | None, now_s: int, quick: bool = False) -> Iterator[Finding]:
    """Every finding about the fleet in `directory`, as it is made."""
    try:
        config = settings.load(directory)
    except FleetError as error:
        yield _failed("fleet", error)
        return
    yield Finding("fleet", OK, str(config.directory.absolute()))
    with Store.open(config.store_url) as store:
        patient = Patient(config, store, override, now_s, quick)
        for name, check in CHECKS:
            try:
                yield from check(patient)
            except FleetError as error:
                yield _failed(name, error)
            except OSError as error:
                yield Finding(name, FAIL, str(error), "check that the fleet directory is whole and belongs to you")


def _failed(check: str, error: FleetError) -> Finding:
    return Finding(check, FAIL, str(error), error.hint)


def _files(patient: Patient) -> Iterator[Finding]:
    config = patient.config
    keys = [path for one in (config.ca_dir, config.certs_dir, config.keys_dir) for path in one.glob("*.key")]
    private = [config.directory, *keys, config.service_id_file]
    loose = [path for path in private if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    for path, lacking in (
        (config.claim_key_file, "boards cannot claim an identity"),
        (config.proof_key_file, "boards cannot be provisioned, and nodes prove nothing"),
        (config.campaign_key_file, "no update can be ordered"),
    ):
        if not path.exists():
            yield Finding("files", WARN, f"no {path.name}: {lacking}", "fleet init")
    if loose:
        names = " ".join(str(path) for path in loose)
        yield Finding("files", FAIL, "others may read " + names, f"chmod go= {names}")
    else:
        yield Finding("files", OK, f"{len(private) - 1} secrets, readable by their owner alone")


def _certificates(patient: Patient) -> Iterator[Finding]:
    config = patient.config
    authority = pki.load_cert(config.ca_dir / "ca.pem")
    for path in (config.ca_dir / "ca.pem", *sorted(config.certs_dir.glob("*.pem"))):
        yield _certificate(path, authority, patient.now_s)
    if config.broker.kind == EMBEDDED:
        path = config.certs_dir / "server.pem"
        names = config.server_names if config.claim.listen else (config.broker.host, *config.broker.names)
        missing = pki.missing_names(pki.load_cert(path), names)
        if missing:
            text = f"does not hold {_some(missing)} of fleet.toml: whoever reaches this fleet by that refuses it"
            yield Finding("certificate server", WARN, text, _again(path))


def _certificate(path: Path, authority: x509.Certificate, now_s: int) -> Finding:
    name = f"certificate {path.stem}"
    cert = pki.load_cert(path)
    days = (pki.until_s(cert) - now_s) // 86400
    again = _again(path)
    try:
        cert.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return Finding(name, FAIL, "not issued by this fleet's authority", again)
    if days < 0:
        return Finding(name, FAIL, f"expired {-days} days ago", again)
    if cert.not_valid_before_utc.timestamp() > now_s:
        return Finding(name, FAIL, f"not valid before {cert.not_valid_before_utc:%Y-%m-%d}", "set this machine's clock")
    if days * 86400 < EXPIRES_SOON_S:
        return Finding(name, WARN, f"expires in {days} days", again)
    return Finding(name, OK, f"valid until {cert.not_valid_after_utc:%Y-%m-%d}")


def _again(path: Path) -> str:
    return f"remove {path} and its key, then run `fleet init` and restart the service"


def _trust(patient: Patient) -> Iterator[Finding]:
    """Whom nodes trust with updates."""
    config = patient.config
    root = signing.roots(config).newest
    if root is None:
        text = "there is none: nodes that are provisioned now will take no updates"
        yield Finding("root of trust", WARN, text, "fleet key init, before nodes are provisioned")
        return
    days = (root.expires - patient.now_s) // 86400
    again = "make the next one: fleet key draft, sign, publish"
    if days < 0:
        yield Finding("root of trust", FAIL, f"root {root.version} expired: nodes take no updates under it", again)
    elif days * 86400 < ROOT_SOON_S:
        yield Finding("root of trust", WARN, f"root {root.version} expires in {days} days", again)
    else:
        yield Finding("root of trust", OK, f"root {root.version}, valid for {days} days")
    if config.campaign_key_file.exists() and not publish.is_online(root, publish.online_key(config)):
        text = f"{config.campaign_key_file.name} is not in the role campaign: nodes refuse what the service orders"
        yield Finding("online key", FAIL, text, "restore it from a backup, or fleet key draft --new-online-key")
    strays = sorted(config.keys_dir.glob("*.pem"))
    if strays:
        text = f"{_some([path.name for path in strays])}: whoever gets into this machine could sign releases"
        yield Finding("offline keys", WARN, text, f"move them out of {config.keys_dir}, to where no network is")


def _database(patient: Patient) -> Iterator[Finding]:
    store = patient.store
    found, wanted = store.schema()
    if found != wanted:
        text = f"its schema is {found or 'missing'}, this program needs {wanted}"
        yield Finding("database", FAIL, text, "run `fleet serve`: it brings the database up to date")
        return
    if not patient.quick:
        state = store.check()
        if state != "ok":
            yield Finding("database", FAIL, state, "stop the service and restore the newest backup")
            return
    path = Path(patient.config.store_url)
    size = sum(part.stat().st_size for part in (path, path.with_name(path.name + "-wal")) if part.exists())
    checked = "not read through" if patient.quick else "sound"
    yield Finding("database", OK, f"schema {found}, {size / 1e6:.1f} MB, {checked}")
    patient.views = store.nodes.views()
    patient.running = status.service_runs(store, patient.now_s)


def _audit(patient: Patient) -> Iterator[Finding]:
    """The end of the audit log: what changes more than that shows in `fleet audit verify`."""
    try:
        checked = patient.store.audit.verify(AUDITED)
    except FleetError as error:
        yield _failed("audit log", error)
        return
    newest = patient.store.audit.newest()
    if newest is not None:
        yield Finding(
            "audit log", OK, f"{newest.seq} entries, the last {checked} hold; newest {newest.hash.hex()[:16]}"
        )


def _disk(patient: Patient) -> Iterator[Finding]:
    usage = shutil.disk_usage(patient.config.directory)
    text = f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.1f} GB"
    if usage.free < DISK_FAIL:
        yield Finding("disk", FAIL, text, "make room now: without it nothing more is stored, and nodes keep their data")
    elif usage.free < DISK_WARN:
        yield Finding("disk", WARN, text, "make room, or lower store.raw_days in fleet.toml")
    else:
        yield Finding("disk", OK, text)


def _clock(patient: Patient) -> Iterator[Finding]:
    made = int(pki.load_cert(patient.config.ca_dir / "ca.pem").not_valid_before_utc.timestamp())
    if patient.now_s < made:
        text = "this machine's clock is earlier than the fleet was made"
        yield Finding("clock", FAIL, text, "set the clock; timedatectl tells whether it is synchronised")
        return
    seen = {view.node.id: view.last_seen_ms // 1000 for view in patient.views if view.last_seen_ms is not None}
    future = [node for node, then in seen.items() if then > patient.now_s + AHEAD_S]
    newest = {reading.node: reading for reading in patient.store.readings.latest() if reading.tq}
    ahead = [
        node
        for node, one in newest.items()
        if one.tq == TQ_AHEAD or one.t_s + one.interval_s > seen.get(node, one.t_s) + AHEAD_S
    ]
    if future:
        text = f"{_some(future)} heard of in the future: this machine's clock was set back"
        yield Finding("clock", WARN, text, "check it with timedatectl")
    elif ahead:
        text = f"{_some(ahead)} sent records that end later than they arrived"
        yield Finding("clock", WARN, text, "check this machine's clock with timedatectl, then the nodes' time servers")
    else:
        yield Finding("clock", OK, "agrees with certificates and records")


def _program(patient: Patient) -> Iterator[Finding]:
    if patient.config.broker.kind != EMBEDDED:
        yield Finding("broker program", OK, "external, not ours to check")
        return
    found = binary.find(patient.override)
    yield Finding("broker program", OK, f"nats-server {found.version}, sha256 {found.sha256()}")


def _service(patient: Patient) -> Iterator[Finding]:
    last = status.newest_figures(patient.store, patient.now_s)
    if not patient.running or last is None:
        since = f", last seen {last[0]} s ago" if last else ""
        yield Finding("service", FAIL, f"does not run{since}", "start it: fleet serve")
        return
    figures = last[1]
    faults = [figures[name] for name in ("database_fault", "connection_fault") if figures.get(name)]
    if faults:
        yield Finding(
            "service", WARN, f"runs, but {'; '.join(faults)}", f"see {patient.config.log_dir / 'service.log'}"
        )
    else:
        yield Finding("service", OK, f"runs as process {figures.get('pid')}, {figures.get('waiting', 0)} messages wait")
    alarms = figures.get("broker_alarms") or {}
    if alarms:
        text = ", ".join(f"{kind} ({count})" for kind, count in alarms.items())
        yield Finding("broker alarms", WARN, text, f"who it was stands in {control.log_file(patient.config)}")


def _broker(patient: Patient) -> Iterator[Finding]:
    broker = patient.config.broker
    took = watch.reach(patient.config)
    text = f"{broker.host}:{broker.port} takes the operator's certificate, {took * 1000:.0f} ms"
    yield Finding("broker", OK, text)


def _refused(patient: Patient) -> Iterator[Finding]:
    letters = patient.store.journal.dead_letters(limit=1)
    if not letters:
        yield Finding("refused messages", OK, "none")
        return
    counts = patient.store.journal.refused()
    most = sorted(counts.items(), key=lambda pair: -pair[1])[:_NAMES]
    text = f"{sum(counts.values())}: " + ", ".join(f"{reason} ({count})" for reason, count in most)
    recent = letters[0].last_ms // 1000 > patient.now_s - REFUSED_S
    if not recent:
        yield Finding("refused messages", OK, f"{text}; none in the last day")
        return
    yield Finding(
        "refused messages", WARN, text, f"the last came on {letters[0].topic}: is its firmware newer than this?"
    )


def _nodes(patient: Patient) -> Iterator[Finding]:
    accepted = [view for view in patient.views if view.node.standing is Standing.ACCEPTED]
    presence = [nodes.presence(view, patient.running) for view in accepted]
    counts = ", ".join(f"{presence.count(word)} {word}" for word in nodes.PRESENCE if word in presence)
    silent = [view.node.id for view in accepted if _is_silent(view, patient.now_s)]
    if not accepted:
        yield Finding("nodes", OK, "none yet")
    elif silent:
        text = f"{counts}; {_some(silent)} silent for more than {SILENT_S // 60} min"
        yield Finding("nodes", WARN, text, f"fleet node list --where 'seen>{SILENT_S}'")
    else:
        yield Finding("nodes", OK, counts)
    waiting = [view.node.id for view in patient.views if view.node.standing is Standing.PENDING]
    if waiting:
        hint = "fleet node list --where standing=pending"
        yield Finding("claims", WARN, f"{_some(waiting)} wait to be accepted", hint)
    refusing = [view.node.id for view in accepted if nodes.config_status(view) == "refused"]
    if refusing:
        hint = f"fleet node config show {refusing[0]}"
        yield Finding("configuration", WARN, f"{_some(refusing)} refused what is desired", hint)
    ending = [view.node.id for view in accepted if 0 < view.node.cert_until_s < patient.now_s + EXPIRES_SOON_S]
    if ending:
        text = f"of {_some(ending)} expires within {EXPIRES_SOON_S // 86400} days"
        yield Finding("node certificates", WARN, text, "provision these nodes again before that")


def _unfinished(patient: Patient) -> Iterator[Finding]:
    """Nodes whose key was on its way to a board when something came in between."""
    known = {view.node.id for view in patient.views if view.node.standing is Standing.ACCEPTED}
    lost = [note.node for note in Unfinished(patient.config.directory).all() if note.node in known]
    if lost:
        text = f"{_some(lost)} may lack the key: provisioning was interrupted"
        hint = f"fleet board provision {lost[0]} again, or fleet node retire {lost[0]}"
        yield Finding("provisioning", WARN, text, hint)


def _is_silent(view: NodeView, now_s: int) -> bool:
    """Silence is no fault of a node that was never heard of: it may still lie in its box."""
    return view.last_seen_ms is not None and view.last_seen_ms // 1000 < now_s - SILENT_S


def _some(names: Sequence[str]) -> str:
    """`air-1, air-2, air-3 and 4 more`."""
    shown = ", ".join(names[:_NAMES])
    return shown if len(names) <= _NAMES else f"{shown} and {len(names) - _NAMES} more"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("files", _files),
    ("certificates", _certificates),
    ("root of trust", _trust),
    ("disk", _disk),
    ("database", _database),
    ("audit log", _audit),
    ("broker program", _program),
    ("service", _service),
    ("broker", _broker),
    ("clock", _clock),
    ("refused messages", _refused),
    ("nodes", _nodes),
    ("provisioning", _unfinished),
)
