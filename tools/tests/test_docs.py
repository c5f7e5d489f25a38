"""The documents do what they say: `console` blocks are executed, links lead somewhere, files and make targets exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.rollout import draft
from tools.interpreter import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "protocol").rglob("*.md")),
]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")
PATH = re.compile(r"`((?:protocol|firmware|fleet|tools|docs)/[\w./-]+\.(?:py|md|json|cddl|toml|sh))`")
PATIENCE_S = 240


def commands(page: Path) -> list[str]:
    """The lines of a page's console blocks that a reader types, in order."""
    lines = "".join(BLOCK.findall(page.read_text())).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def name(page: Path) -> str:
    """A page as it is called within the repository."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name)
def test_the_blocks_of_a_page_run_one_after_the_other(page: Path, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("FLEET_", "MAKE"))}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    for part in ROOT.iterdir():
        if part.name not in ("build", ".git", ".fleet"):
            (tmp_path / part.name).symlink_to(part)
    script = "set -euo pipefail\n" + "\n".join(commands(page))
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not dead


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    missing = [path for path in PATH.findall(page.read_text()) if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    fences = "".join(re.findall(r"```\w*\n.*?```|`[^`\n]+`", page.read_text(), re.DOTALL))
    assert set(TARGET.findall(fences)) <= targets


def test_every_make_target_has_a_line_of_help_or_is_a_part_of_one_that_has() -> None:
    text = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "check", "fmt", "bench", "fuzz", "help"):
        assert re.search(rf"^{target}:.*## \w", text, re.MULTILINE), target


def test_the_plan_that_a_page_shows_is_a_plan() -> None:
    shown = re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs/howto/rollout.md").read_text(), re.MULTILINE | re.DOTALL)
    assert [draft.load(text, "rollout.md").releases for text in shown] == [("air-1.5.0",)]


def test_the_architecture_page_is_at_most_150_lines() -> None:
    assert (ROOT / "ARCHITECTURE.md").read_text().count("\n") <= 150
