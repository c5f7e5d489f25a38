"""The document: sections in order, with its style and its script inside and a policy that allows nothing else."""

import base64
import urllib.parse
from collections.abc import Sequence
from hashlib import sha256
from importlib import resources

from fleet.hil.report import matrix, overview
from fleet.hil.report.html import Safe, el
from fleet.hil.report.parts import Shown
from fleet.hil.results import FAILED, INFRASTRUCTURE, PASSED

_ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="{}"/></svg>'
_ICON_COLOURS = {PASSED: "#1f883d", FAILED: "#d1242f", INFRASTRUCTURE: "#bf8700"}


def page(shown: Sequence[Shown]) -> str:
    """The page of these runs, oldest first; at least one."""
    newest = shown[-1].run
    sections = [
        overview.attention(shown),
        matrix.boards(shown),
        matrix.tests(shown),
        matrix.measurements(shown),
        overview.history(shown),
        overview.environment(newest),
    ]
    style, script = _own("style.css"), _own("script.js")
    body = el(
        "body",
        overview.head(shown),
        _bar([found for found in sections if found]),
        el("main", *sections),
        el("script", Safe(script)),
    )
    return f"<!doctype html>\n{el('html', _head(newest.bench, newest.verdict, style, script), body, lang='en')}\n"


def _head(bench: str, verdict: str, style: str, script: str) -> Safe:
    icon = urllib.parse.quote(_ICON.format(_ICON_COLOURS.get(verdict, "#848d97")))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{bench}: {verdict}"),
        el("link", rel="icon", href=f"data:image/svg+xml,{icon}"),
        el("style", Safe(style)),
    )


def _bar(sections: Sequence[Safe]) -> Safe:
    """Where to go, and the filter, which appears when its script runs."""
    names = ("attention", "boards", "tests", "measurements", "runs", "environment")
    there = [name for name in names if any(f'<section id="{name}"' in found for found in sections)]
    titles = {"attention": "To look at"}
    links = [el("a", titles.get(name, name.capitalize()), href=f"#{name}") for name in there]
    kinds = [el("button", kind, type="button", data_show=kind, aria_pressed="false") for kind in ("failed", "flaky")]
    box = el("input", type="search", placeholder="Filter: test, board, word", aria_label="Filter", id="filter")
    found = el("output", id="found")
    return el("nav", el("div", *links, class_="links"), el("div", box, *kinds, found, class_="filter", hidden=True))


def _own(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(sha256(content.encode()).digest()).decode()}"
