"""A loader without a board, as the ROM and as the stub; a board without MicroPython."""

import asyncio

import pytest

from tools.virtual_board.tests.fakes import Desk
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


@pytest.fixture
def desk(tmp_path):
    """Runs a test on a board within an event loop."""

    def run(test, blank: bool = False, on: bool = True, **options) -> None:
        async def body() -> None:
            found = Desk(tmp_path, blank, **options)
            try:
                if on:
                    await found.board.power(on=True)
                await test(found)
                if found.board.transitions.failed.done():
                    found.board.transitions.failed.result()
            finally:
                await found.board.close()

        asyncio.run(body())

    return run
