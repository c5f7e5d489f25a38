"""The bench of flashing measures what it says."""

from pathlib import Path

import pytest

from tools import bench_flash
from tools.virtual_board.base import base_image

WRITTEN_AGAIN_PC = 15  # at most, of a complete flash, when one module has changed


@pytest.mark.slow
def test_a_session_writes_it_all_and_the_next_one_what_differs(tmp_path: Path) -> None:
    base = tmp_path / "base.bin"
    base.write_bytes(base_image("esp32"))
    row = bench_flash.measure(0, base, tmp_path)
    assert row["esptool"]["flash_bytes"] > len(base.read_bytes())
    assert row["files"]["flash_bytes"] < row["esptool"]["flash_bytes"]
    assert row["mpremote"]["file_bytes"] > 100_000
    assert 0 < row["again"]["share_pc"] < WRITTEN_AGAIN_PC
    assert all(row[name]["seconds"] > 0 for name in ("esptool", "files", "mpremote", "again"))
