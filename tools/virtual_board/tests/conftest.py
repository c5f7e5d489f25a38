"""A loader without a board, as the ROM and as the stub."""

import pytest

from tools.virtual_board.tests.harness import Bench


@pytest.fixture
def rom(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.flash.close()


@pytest.fixture
def stub(rom):
    rom.run_stub()
    return rom
