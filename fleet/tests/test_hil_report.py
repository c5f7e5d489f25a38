"""The page: nothing of a run becomes markup, nothing is loaded from anywhere, every link leads to its file."""

import base64
import re
import urllib.parse
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import FleetError, NotFoundError
from fleet.hil import report, results
from fleet.hil.report import charts, figures, page, wording
from fleet.hil.report.html import Safe, el
from fleet.hil.report.parts import Shown
from fleet.hil.results import Artefact, BoardFacts, Measurement, Recorder, Result, Run

EVIL = "<script>alert(1)</script>\"'&\x1b[31mred\x00"
LOADS = {"src", "href", "srcset", "data", "action", "formaction", "poster", "background", "xlink:href"}
EMPTY = {"meta", "link", "input"}


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def ids(self, element: str) -> list[str | None]:
        return [found.get("id") for tag, found in self.elements if tag == element]

    def having(self, word: str) -> list[dict[str, str | None]]:
        """The elements of a class."""
        return [found for _, found in self.elements if word in (found.get("class") or "").split()]


def made(number: int, *found: Result, boards: tuple[BoardFacts, ...] = (), **more: str) -> Run:
    """A run of the `number`-th day."""
    day = f"2026-11-{number:02}T06:00:00Z"
    return Run(f"2026-11-{number:02}", "desk", day, day, 0, {}, more, boards, found)


def shown(*runs: Run) -> list[Shown]:
    return [Shown(run, f"runs/{run.id}") for run in runs]


@pytest.fixture
def evil_run(tmp_path: Path) -> Path:
    """A run in which everything that can hold a text holds markup."""
    board = BoardFacts(EVIL, EVIL, EVIL, EVIL, (EVIL,), EVIL)
    started = Run("2026-11-22", EVIL, asked={EVIL: [EVIL]}, environment={EVIL: EVIL, "commit": EVIL}, boards=(board,))
    directory = results.begin(tmp_path / "results", started)
    recorder = Recorder(directory, "gw0")
    recorder.board(EVIL, results.BROKEN, EVIL, mac=EVIL, firmware=EVIL)
    for outcome in results.OUTCOMES:
        test = recorder.test(f"test_{EVIL}.py::test_{outcome}{EVIL}[{EVIL}]", seed=1)
        test.use(EVIL)
        test.measure(EVIL, 5, EVIL, 1, 3)
        test.attach(EVIL, b"x")
        test.end(outcome, 1, EVIL, EVIL)
    results.end(directory, 1)
    return directory


def test_nothing_of_a_run_becomes_markup(evil_run: Path, tmp_path: Path) -> None:
    report.write([evil_run], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    found = Page(text)
    assert [tag for tag, _ in found.elements].count("script") == 1
    for tag, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "style" not in attributes, tag
        assert not any("\x1b" in (value or "") or "\x00" in (value or "") for value in attributes.values())
    assert "alert(1)" in "".join(found.text)
    assert "\x1b" not in text
    assert "\x00" not in text


def test_nothing_is_loaded_from_anywhere(evil_run: Path, tmp_path: Path) -> None:
    report.write([evil_run], tmp_path / "report.html")
    for tag, attributes in Page((tmp_path / "report.html").read_text()).elements:
        for name in LOADS & set(attributes):
            value = attributes[name] or ""
            assert value.startswith(("#", "results/", "data:image/svg+xml,")), f"{tag} {name} {value}"
            assert tag in ("a", "link")


def test_the_policy_allows_its_own_style_and_script_and_nothing_else() -> None:
    text = page.page(shown(made(1)))
    policy = next(found["content"] for tag, found in Page(text).elements if found.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inside is not None
        assert f"'sha256-{base64.b64encode(sha256(inside[1].encode()).digest()).decode()}'" in policy
    assert "unsafe" not in policy
    assert "http:" not in text.replace("http://www.w3.org", "")
    assert "https:" not in text


def test_every_link_leads_to_its_file_from_wherever_the_page_is(evil_run: Path, tmp_path: Path) -> None:
    for name in ("junit.xml", "pytest.log"):
        (evil_run / name).touch()
    for place in (evil_run, tmp_path, tmp_path / "elsewhere" / "deep"):
        place.mkdir(parents=True, exist_ok=True)
        report.write([evil_run], place / "page.html")
        links = [found["href"] for tag, found in Page((place / "page.html").read_text()).elements if tag == "a"]
        files = [urllib.parse.unquote(link) for link in links if link and not link.startswith("#")]
        assert len(files) >= 8
        assert [file for file in files if not (place / file).is_file()] == []


def test_the_structure() -> None:
    board = BoardFacts("air-1", "/dev/ttyUSB0", "esp32", "air", ("poe",), state=results.READY)
    bad = Result("test_a.py::test_two", ("air-1",), results.FAILED, 2, message="why", detail="trace",
                 measurements=(Measurement("boot", 5, "s", None, 4),))  # fmt: skip
    good = Result("test_a.py::test_one", ("air-1",), results.PASSED, 1)
    text = page.page(shown(made(1, good, replace(bad, outcome=results.PASSED), boards=(board,)),
                           made(2, good, bad, boards=(board,), commit="abc")))  # fmt: skip
    found = Page(text)
    assert found.ids("section") == ["attention", "boards", "tests", "measurements", "runs", "environment"]
    assert [link.get("href") for tag, link in found.elements if tag == "a"][:3] == ["#attention", "#boards", "#tests"]
    assert len(found.having("problem")) == 1
    assert [item["data-kind"] for item in found.having("test")] == ["passed", "failed"]
    assert all("data-text" in item for item in found.having("item"))
    assert {"one", "two", "why", "trace", "air-1", "boot"} <= set(found.text)
    assert len(found.having("o-failed")) >= 4
    assert len(found.having("bad")) == 2, "both values are beyond the limit"


def test_a_run_without_anything_has_a_page() -> None:
    found = Page(page.page(shown(Run("x", "desk", "2026-11-22T06:00:00Z"))))
    assert found.ids("section") == ["runs", "environment"]
    assert "did not end" in found.text


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    good = results.begin(tmp_path, Run("2026-11-22", "desk"))
    bad = results.begin(tmp_path, Run("2026-11-23", "desk"))
    (bad / "begin.json").write_text("{")
    assert [path for path, _ in report.write([good, bad], tmp_path / "r.html")] == [good]
    with pytest.raises(FleetError, match="damaged"):
        report.write([bad], tmp_path / "r.html")
    with pytest.raises(NotFoundError, match="no run to report"):
        report.write([], tmp_path / "r.html")


HISTORIES = {
    "always passes": ("p p p", False, 1.0),
    "fails since a change": ("p p f f", False, 0.5),
    "was repaired": ("f f p p", False, 0.5),
    "comes and goes": ("p f p", True, 2 / 3),
    "fails, passes, fails": ("f p f", True, 1 / 3),
    "both within one run": ("p pf", True, 2 / 3),
    "the bench's faults decide nothing": ("p i p", False, 1.0),
    "what is set aside decides nothing": ("p q s p", False, 1.0),
    "was not run in between": ("p - f", False, 0.5),
    "nothing that decides": ("i s", False, None),
}
_LETTERS = dict(
    zip(
        "pfiqs",
        (results.PASSED, results.FAILED, results.INFRASTRUCTURE, results.QUARANTINED, results.SKIPPED),
        strict=True,
    )
)


def one_row(history: str, boards: tuple[str, ...] = ("a",)) -> figures.Row:
    days = [[_LETTERS[letter] for letter in word if letter != "-"] for word in history.split()]
    runs = [made(day, *(Result("t", boards, outcome) for outcome in found)) for day, found in enumerate(days, 1)]
    (row,) = figures.rows(runs)
    return row


@pytest.mark.parametrize("case", HISTORIES)
def test_flakiness(case: str) -> None:
    history, flaky, rate = HISTORIES[case]
    row = one_row(history)
    assert (row.is_flaky, row.rate) == (flaky, rate)


def test_two_boards_that_differ_are_not_flaky() -> None:
    runs = [made(day, Result("t", ("a",)), Result("t", ("b",), results.FAILED)) for day in (1, 2, 3)]
    (row,) = figures.rows(runs)
    assert not row.is_flaky
    assert row.outcome == results.FAILED


def test_a_strip_shows_each_result_while_they_are_few() -> None:
    row = one_row("p pf -")
    strip = charts.strip(row.history, [made(day) for day in (1, 2, 3)])
    assert strip.count("<rect") == 3
    assert strip.count('class="none"') == 1
    many = one_row(" ".join(["pppf"] * 20))
    assert charts.strip(many.history, [made(day) for day in range(1, 21)]).count("<rect") == 40, "two shares per run"


_NUMBERS = st.floats(-1e12, 1e12, allow_nan=False) | st.integers(-(10**9), 10**9) | st.just(0)


@given(st.lists(_NUMBERS, min_size=1, max_size=8), st.none() | _NUMBERS, st.none() | _NUMBERS, st.integers(1, 3))
def test_any_values_are_drawn_within_the_picture(
    values: list[float], low: float | None, high: float | None, days: int
) -> None:
    test = Result("t", ("a",), measurements=tuple(Measurement("m", value, "s", low, high) for value in values))
    runs = [made(day, test) for day in range(1, days + 1)]
    (one,) = figures.series(runs)
    picture = charts.plot(one, runs, ["a"])
    for x, y in re.findall(r'cx="([-\d.e+]+)" cy="([-\d.e+]+)"', picture):
        assert 0 <= float(x) <= charts.WIDTH
        assert 0 <= float(y) <= charts.HEIGHT
    assert picture.count('class="dot') == len(values) * days
    assert picture.count('class="tick"') <= 14
    Page(picture)


@given(st.text())
def test_text_is_text(anything: str) -> None:
    found = Page(el("p", anything, title=anything))
    assert [tag for tag, _ in found.elements] == ["p"]
    if not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", anything):
        assert "".join(found.text) == anything == found.elements[0][1]["title"]


def test_only_elements_are_markup() -> None:
    assert el("p", Safe("<b>"), "<i>", ["<u>", None], 7) == "<p><b>&lt;i&gt;&lt;u&gt;7</p>"
    assert el("input", hidden=True, checked=False, data_x='a"b') == '<input hidden data-x="a&quot;b"/>'


WORDS = {
    "a small whole number": (wording.full(9999), "9999"),
    "a big one": (wording.full(1151328.0), "1\u202f151\u202f328"),
    "a fraction": (wording.full(0.27276), "0.2728"),
    "a huge one": (wording.full(1e15), "1e+15"),
    "a tick": (wording.short(0.05), "0.05"),
    "a tick of thousands": (wording.short(80000), "80k"),
    "a tick of millions": (wording.short(-1500000), "-1.5M"),
    "both limits": (wording.limits(Measurement("m", 1, low=6.54545, high=61440)), "6.545 to 61\u202f440"),
    "the upper limit": (wording.limits(Measurement("m", 1, high=4)), "\u2264 4"),
    "the lower limit": (wording.limits(Measurement("m", 1, low=-64)), "\u2265 -64"),
    "no limit": (wording.limits(Measurement("m", 1)), ""),
    "a test": (wording.test_name("hil_tests/test_power_cuts.py::test_it_holds[a_b-c]"), "power cuts: it holds [a_b-c]"),
    "a test in no file": (wording.test_name("x"), "x"),
    "a short run": (wording.lasted(Run("x", started="2026-11-22T06:00:00Z", ended="2026-11-22T06:00:59Z")), "59 s"),
    "a long run": (
        wording.lasted(Run("x", started="2026-11-22T06:00:00Z", ended="2026-11-22T07:01:01Z")),
        "61 min 1 s",
    ),
    "a run that goes on": (wording.lasted(Run("x", started="2026-11-22T06:00:00Z")), ""),
}


@pytest.mark.parametrize("case", WORDS)
def test_wording(case: str) -> None:
    found, wanted = WORDS[case]
    assert found == wanted


@pytest.mark.parametrize("path", ["//evil.example/x", "/etc/passwd", "../../x", "a/../../../x", ".."])
def test_no_link_leads_out_of_its_run(path: str) -> None:
    assert Shown(Run("x"), "../runs/x").link(path) is None
    assert Shown(Run("x"), "../runs/x").link("artefacts/a//b") == "../runs/x/artefacts/a/b"
    bad = Result("a::b", outcome=results.FAILED, artefacts=(Artefact("the log", path),))
    text = page.page([Shown(Run("x", results=(bad,)), ".")])
    assert "the log" in text
    assert "evil.example" not in text
