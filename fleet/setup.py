"""`fleet init`: makes a fleet directory, or completes one that a crash left half made. Nothing that exists is changed.

`plan` says what would be done; carrying it out does exactly that, in an order in which every prefix can be completed:
fleet.toml first, since it decides the rest, then authority, certificates, database, broker configuration.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet import config as settings
from fleet import files, pki, proofs, provision
from fleet.config import Config
from fleet.errors import NotAllowedError, UsageError
from fleet.signing import make
from fleet.store import Store

_SECRET_BYTES = 10  # 80 bits
_CLAIM_BYTES = 32  # as long as the codes that are made with it


@dataclass(frozen=True)
class Step:
    """One thing to make."""

    path: Path
    text: str
    run: Callable[[], None]


@dataclass(frozen=True)
class Plan:
    """What is missing in a fleet directory, in order; empty when it is complete."""

    config: Config
    steps: tuple[Step, ...]

    def carry_out(self, done: Callable[[Step], None] = lambda step: None) -> None:
        """Make all of it; `done` is told after each step."""
        for step in self.steps:
            step.run()
            done(step)


def plan(
    directory: Path,
    values: Mapping[str, Mapping[str, Any]] | None = None,
    now_s: Callable[[], int] = lambda: int(time.time()),
) -> Plan:
    """What has to be made in `directory`. `values` {section: {key: value}} go into a new fleet.toml.

    NotAllowedError when the directory holds something else, UsageError when it holds a fleet and `values` differ.
    """
    given = {name: dict(keys) for name, keys in (values or {}).items()}
    directory = directory.absolute()
    config = _config(directory, given)
    text = settings.default_text(given)
    makes = (
        Step(config.file, "the configuration", lambda: _write_config(config, text)),
        Step(config.ca_dir / "ca.pem", "the certificate authority", lambda: _make_authority(config, now_s())),
        Step(config.certs_dir / "server.pem", "the broker's certificate", lambda: _make_server(config, now_s())),
        *(_manager_step(config, name, now_s) for name in provision.MANAGERS),
        Step(config.service_id_file, "the service's session", lambda: _make_service_id(config)),
        Step(config.claim_key_file, "the key of claims", lambda: _make_claim_key(config)),
        Step(config.proof_key_file, "the key of proofs", lambda: _make_proof_key(config)),
        Step(config.campaign_key_file, "the online key", lambda: _make_campaign_key(config)),
        Step(Path(config.store_url), "the database", lambda: _make_store(config)),
        Step(config.broker_dir / "nats.conf", "the broker's configuration", lambda: _make_broker(config)),
    )
    missing = tuple(step for step in makes if not step.path.exists())
    _refuse_second_authority(config, missing)
    return Plan(config, missing)


def _refuse_second_authority(config: Config, missing: tuple[Step, ...]) -> None:
    """Certificates of an authority that is lost cannot be completed, only restored."""
    authority = config.ca_dir / "ca.pem"
    if any(step.path == authority for step in missing) and any(config.certs_dir.glob("*.pem")):
        raise NotAllowedError(
            f"{authority} is missing, and certificates that it signed are there", hint="restore a backup"
        )


def _config(directory: Path, given: Mapping[str, Mapping[str, Any]]) -> Config:
    asked = settings.parse({name: dict(keys) for name, keys in given.items()}, directory)
    if not (directory / settings.FILE).exists():
        ours = f".{settings.FILE}."  # what a crash left of writing it
        if directory.exists() and any(not path.name.startswith(ours) for path in directory.iterdir()):
            raise NotAllowedError(f"{directory} holds something else", hint="name a new or empty directory")
        return asked
    found = settings.load(directory)
    if given and found != asked:
        raise UsageError(f"{directory} holds a fleet with other settings", hint=f"edit {found.file}")
    return found


def _write_config(config: Config, text: str) -> None:
    files.make_private_dir(config.directory)
    files.write_new(config.file, text.encode())


def _make_authority(config: Config, now: int) -> None:
    """ca.pem is written last: what is there without it belongs to an attempt that did not get further."""
    files.make_private_dir(config.ca_dir)
    for name in ("ca.key", "crl.pem"):
        (config.ca_dir / name).unlink(missing_ok=True)
    authority = pki.Authority.create(f"Lumenair fleet {secrets.token_hex(4)}", config.pki.ca_days, now)
    authority.save(config.ca_dir, pki.passphrase(config.pki))


def _authority(config: Config) -> pki.Authority:
    return pki.Authority.load(config.ca_dir, pki.passphrase(config.pki))


def _make_server(config: Config, now: int) -> None:
    issued = _authority(config).issue_server(config.server_names, config.pki.service_days, now)
    _save(config, "server", issued)


def _manager_step(config: Config, name: str, now_s: Callable[[], int]) -> Step:
    def run() -> None:
        issued = _authority(config).issue_client(f"{name}.fleet", config.pki.service_days, now_s())
        _save(config, name, issued)

    return Step(config.certs_dir / f"{name}.pem", f"the certificate of the {name}", run)


def _save(config: Config, name: str, issued: pki.Issued) -> None:
    """NAME.pem is written after NAME.key: a key without it belongs to an attempt that did not get further."""
    files.make_private_dir(config.certs_dir)
    (config.certs_dir / f"{name}.key").unlink(missing_ok=True)
    issued.save(config.certs_dir, name)


def _make_service_id(config: Config) -> None:
    """Random: who knows it could take over the session and what is queued in it, on a broker that does not bind
    client ids to certificates (docs/explain/broker-security.md)."""
    files.write_new(config.service_id_file, f"service-{secrets.token_hex(_SECRET_BYTES)}\n".encode())


def _make_claim_key(config: Config) -> None:
    """Who knows it can make a ticket for any chip, though none that is accepted without an operator."""
    files.write_new(config.claim_key_file, f"{secrets.token_hex(_CLAIM_BYTES)}\n".encode())


def _make_proof_key(config: Config) -> None:
    """Who knows it can say in the name of any node what it runs, though make none run it."""
    files.write_new(config.proof_key_file, f"{secrets.token_hex(proofs.KEY_BYTES)}\n".encode())


def _make_campaign_key(config: Config) -> None:
    """Who knows it can choose among the releases that offline keys have signed. The service needs it at any time."""
    files.make_private_dir(config.keys_dir)
    files.write_new(config.campaign_key_file, make.private_pem(make.new_key()))


def _make_store(config: Config) -> None:
    with Store.open(config.store_url) as store:
        store.migrate()


def _make_broker(config: Config) -> None:
    files.make_private_dir(config.log_dir)
    with Store.open(config.store_url) as store:
        store.migrate()  # an attempt may have got no further than an empty database
        provision.sync(config, store.nodes)
