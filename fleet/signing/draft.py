"""The next root: what changes against the one before. A draft is an envelope that lacks signatures; it may travel."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fleet.errors import NotFoundError, UsageError
from fleet.signing.public import PublicKey
from protocol import cose, trust
from protocol.errors import DecodeError, EncodeError
from protocol.trust import Product, Role, Root, Signed

DAYS = 730  # how long a root is valid, unless somebody says otherwise
_NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")
_BROKER = re.compile(r"[A-Za-z0-9.:-]+:[0-9]{1,5}")
_EVERY = (trust.ROOT, trust.BUILD, trust.CAMPAIGN)  # roles that every root has


@dataclass(frozen=True)
class Changes:
    """What shall be different. Keys to remove are (role or "" for every role, public key)."""

    add: Sequence[tuple[str, PublicKey]] = ()
    remove: Sequence[tuple[str, bytes]] = ()
    thresholds: Mapping[str, int] = field(default_factory=dict)
    reports: Mapping[str, bool] = field(default_factory=dict)
    require: Mapping[str, Sequence[str]] = field(default_factory=dict)  # product: roles that sign besides build
    recovery: Sequence[str] | None = None
    recovery_s: int | None = None
    days: int = DAYS


@dataclass
class _Plan:
    """A role in the making."""

    threshold: int
    keys: list[bytes]
    report: bool


def draft(old: Root | None, changes: Changes, now_s: int) -> Signed:
    """The root after `old` (None: the first), unsigned; UsageError when it could not be meant."""
    roles = _roles(old, changes)
    keys = list(dict.fromkeys(key for role in roles.values() for key in role.keys))
    root = Root(
        version=old.version + 1 if old else 1,
        issued=now_s,
        expires=now_s + changes.days * 86400,
        keys=keys,
        roles=[
            Role(name=name, threshold=one.threshold, keys=[keys.index(key) for key in one.keys], report=one.report)
            for name, one in roles.items()
        ],
        products=_products(old, changes, roles),
        recovery=_recovery(old, changes),
        recovery_s=changes.recovery_s or (old.recovery_s if old else Root.recovery_s),
    )
    try:
        document = root.encode()
        trust.load_root(document)
    except (EncodeError, DecodeError) as error:
        raise UsageError(
            "a root cannot be like this", hint="`fleet key show` tells how it is", cause=str(error)
        ) from error
    return Signed(document=document, root=root.version)


def outline(root: Root, names: Mapping[bytes, str]) -> dict[str, str]:
    """{what: how it is} of a root, in words; `names` are of its keys."""
    known = {key: names.get(key, cose.kid(key).hex()) for key in root.keys}
    rows = {
        f"role {role.name}": f"{role.threshold} of {', '.join(known[root.keys[at]] for at in role.keys)}"
        + (", over a report" if role.report else "")
        for role in root.roles
    }
    rows |= {f"product {product.name}": f"signed by {' and '.join(product.roles)}" for product in root.products}
    if root.recovery:
        rows["recovery"] = f"{', '.join(root.recovery)} after {root.recovery_s} s"
    return rows


def _roles(old: Root | None, changes: Changes) -> dict[str, _Plan]:
    roles = (
        {one.name: _Plan(one.threshold, [old.keys[at] for at in one.keys], one.report) for one in old.roles}
        if old
        else {}
    )
    for name, key in changes.remove:
        _remove(roles, name, key)
    for name, public in changes.add:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is not the name of a role", hint="up to 16 of a-z, 0-9 and -")
        role = roles.setdefault(name, _Plan(1, [], name == trust.BENCH))
        if public.public in role.keys:
            raise UsageError(f"role {name} has the key {public.name} already")
        role.keys.append(public.public)
    for name, threshold in changes.thresholds.items():
        _known(roles, name).threshold = threshold
    for name, report in changes.reports.items():
        _known(roles, name).report = report
    roles = {name: role for name, role in roles.items() if role.keys}
    _check(roles)
    return {name: roles[name] for name in (*_EVERY, *sorted(set(roles) - set(_EVERY)))}


def _remove(roles: dict[str, _Plan], name: str, key: bytes) -> None:
    having = [role for at, role in roles.items() if name in ("", at) and key in role.keys]
    if not having:
        where = f"role {name} has" if name else "no role has"
        raise NotFoundError(f"{where} {'not ' if name else ''}that key", hint="`fleet key list` shows who has what")
    for role in having:
        role.keys.remove(key)


def _known(roles: dict[str, _Plan], name: str) -> _Plan:
    if name not in roles:
        raise NotFoundError(
            f"there is no role {name}", hint=f"there are {', '.join(roles)}; --add {name}=FILE makes it"
        )
    return roles[name]


def _check(roles: dict[str, _Plan]) -> None:
    """UsageError with a sentence for the mistakes that people make."""
    for name in _EVERY:
        if name not in roles:
            raise UsageError(f"nobody is left in the role {name}", hint=f"--add {name}=FILE.pub")
    for name, role in roles.items():
        if not 1 <= role.threshold <= len(role.keys):
            cause = f"it has {len(role.keys)} keys"
            raise UsageError(
                f"role {name} cannot have a threshold of {role.threshold}", cause=cause, hint="--threshold"
            )
    offline = {key for name, role in roles.items() if name != trust.CAMPAIGN for key in role.keys}
    if offline & set(roles[trust.CAMPAIGN].keys):
        raise UsageError("a key of the role campaign is online", hint="it must not have another role")


def _products(old: Root | None, changes: Changes, roles: Mapping[str, _Plan]) -> list[Product]:
    wanted = {product.name: list(product.roles) for product in old.products} if old else {}
    wanted |= {
        name: [trust.BUILD, *(role for role in more if role != trust.BUILD)] for name, more in changes.require.items()
    }
    for name, needed in wanted.items():
        for role in needed:
            if role not in roles or role in (trust.ROOT, trust.CAMPAIGN):
                raise UsageError(
                    f"{name} cannot require the role {role}", hint=f"there are {', '.join(roles)}; --require"
                )
    return [Product(name=name, roles=needed) for name, needed in wanted.items()]


def _recovery(old: Root | None, changes: Changes) -> list[str]:
    if changes.recovery is None:
        return list(old.recovery) if old else []
    for broker in changes.recovery:
        if not _BROKER.fullmatch(broker):
            raise UsageError(f"{broker!r} is not a broker", hint="write it as host:port")
    return list(changes.recovery)
