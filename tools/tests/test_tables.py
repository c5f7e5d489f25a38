"""The documents say what the code says: tables are current, every constant and field is explained."""

import re

import pytest

from protocol import channels, claim, messages, records
from protocol.message import Message
from protocol.tests.meaning import KINDS
from tools import tables

SPEC = tables.SPEC.read_text()
CONSTANTS = {
    name: value
    for module in (messages, records, channels, claim)
    for name, value in vars(module).items()
    if re.match(
        r"(E|RESET|TQ|FLAG|REASON|STATUS)_|(ACCEPTED|RUNNING|DONE|FAILED|EXPIRED|CHALLENGE|PENDING|ISSUED|REFUSED)$",
        name,
    )
    and name != "E_ACTIVE"  # a channel
}


def test_the_generated_files_are_current() -> None:
    assert tables.main(["--check"]) == 0


def test_check_finds_a_stale_file(tmp_path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    stale = tmp_path / "SPEC.md"
    stale.write_text(SPEC.replace("| 1 | `boot` |", "| 1 | `boat` |"))
    monkeypatch.setattr(tables, "SPEC", stale)
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "REFERENCE", tmp_path)
    assert tables.main(["--check"]) == 1
    assert "SPEC.md: out of date" in capsys.readouterr().out
    assert tables.main([]) == 0
    assert tables.main(["--check"]) == 0
    assert stale.read_text() == SPEC


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_every_constant_of_the_wire_is_in_the_specification(name: str) -> None:
    value = CONSTANTS[name]
    number = value.bit_length() - 1 if name.startswith("STATUS_") else value
    assert f"| {number} | `{name}` |" in SPEC


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
def test_every_field_is_explained(kind: type[Message]) -> None:
    assert set(tables.comments(kind)) >= {row[1] for row in kind.FIELDS}


def test_cited_clauses_exist() -> None:
    clauses = set(re.findall(r"^(\d+\.\d+) ", SPEC, re.MULTILINE)) | set(
        re.findall(r"^## (\d+)\. ", SPEC, re.MULTILINE)
    )
    cited = {}
    for folder in ("protocol", "firmware", "fleet", "tools", "docs"):
        for path in (tables.ROOT / folder).rglob("*.*"):
            if path.suffix in {".py", ".md", ".cddl"}:
                for clause in re.findall(r"SPEC (\d+(?:\.\d+)?)", path.read_text()):
                    cited[clause] = str(path.relative_to(tables.ROOT))
    assert not {clause: path for clause, path in cited.items() if clause not in clauses}
