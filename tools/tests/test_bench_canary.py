"""The benchmark of the canary: its interval, and one line of JSON."""

import json

import pytest

from tools import bench_canary


def test_the_upper_end_is_that_of_clopper_and_pearson() -> None:
    assert bench_canary.upper(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300), abs=1e-6)
    assert bench_canary.upper(3, 10) == pytest.approx(0.6066, abs=1e-4)


def test_it_prints_one_line_of_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["bench_canary", "--runs", "1", "--power-runs", "1"])
    monkeypatch.setattr(bench_canary, "SIZES", ((1, 3),))
    monkeypatch.setattr(bench_canary, "MASSES", (100,))
    monkeypatch.setattr(bench_canary, "SHARES", (100,))
    bench_canary.main()
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    found = json.loads(line)
    assert found["sound"]["air 1:3"]["halted"] == 0
    assert found["power"]["mass"]["1:3"]["x10"][0] == 1
    assert found["power"]["nodes"]["1 of 10"] == [0, None]
