"""The orders of the control socket, as `python -m tools.virtual_board --help` lists them."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from tools.virtual_board.board import Board, State

PATIENCE_S = 30.0
Answer = dict[str, Any]


class Orders:
    """Carries out orders on `board`; ValueError for one that makes no sense. `quit()` ends the process."""

    def __init__(self, board: Board, quit_: Callable[[], None]) -> None:
        self._board = board
        self._table: dict[str, Callable[..., Awaitable[Answer]]] = {
            "status": self._status,
            "power": self._power,
            "reset": self._reset,
            "download": self._download,
            "brownout": self._brown_out,
            "cut": self._cut,
            "wait": self._wait,
            "rate": self._rate,
            "leap": self._leap,
            "fault": self._fault,
            "wifi": self._wifi,
            "trouble": self._trouble,
            "probe": self._probe,
            "program": self._program,
            "log": self._log,
            "quit": self._quit,
        }
        self._end = quit_

    async def handle(self, name: str, values: Answer) -> Answer:
        """One order and its answer."""
        if name not in self._table:
            raise ValueError(f"no order {name!r}: one of {', '.join(self._table)}")
        order = self._table[name]
        try:
            inspect.signature(order).bind(**values)
        except TypeError:  # a value that is missing, or one too many
            raise ValueError(f"order {name!r} takes {_values(order)}, not {' '.join(values) or 'none'}") from None
        return await order(**values)

    async def _status(self) -> Answer:
        board = self._board
        cut = board.flash.cut
        return {
            "state": board.state,
            "chip": board.chip.name,
            "mac": board.setup.mac.hex(":"),
            "flash_size": board.flash.size,
            "boots": board.boots,
            "cause": board.cause,
            "resets": board.resets,
            "watchdogs": board.watchdogs,
            "operations": board.operations,
            "erases": board.flash.erases,
            "programmed": board.flash.programmed,
            "cut_in": None if cut is None else cut.at - board.operations,
            "utc_s": int(board.world.utc_s()),
            "rate": board.world.rate,
            "wifi": board.setup.wifi if board.program is None else board.program.setup.wifi,
            "trouble": {name: value for name, value in board.trouble.values.items() if value},
            "doors": [door.url for door in board.port.doors],
            "pid": None if board.program is None else board.program.pid,
        }

    async def _power(self, on: bool) -> Answer:
        await self._board.power(bool(on))
        return {"state": self._board.state}

    async def _reset(self) -> Answer:
        self._needs_power()
        await self._board.reset()
        return {"state": self._board.state}

    async def _download(self) -> Answer:
        self._needs_power()
        await self._board.reset(download=True)
        return {"state": self._board.state}

    async def _brown_out(self) -> Answer:
        self._needs_power()
        await self._board.brown_out()
        return {"state": self._board.state}

    async def _cut(self, after: int, keep: int | None = None) -> Answer:
        if _number(after, "after") < 1 or (keep is not None and _number(keep, "keep") < 0):
            raise ValueError("after counts from 1, keep from 0")
        return await self._board.cut_after(after, keep)

    async def _wait(self, state: str | list[str], timeout_s: float = PATIENCE_S) -> Answer:
        states = {_state(name) for name in ([state] if isinstance(state, str) else state)}
        async with asyncio.timeout(float(timeout_s)):
            await self._board.reached(states)
        return {"state": self._board.state}

    async def _rate(self, x: float) -> Answer:
        if isinstance(x, bool) or not isinstance(x, int | float) or not 0 < x <= 1e6:
            raise ValueError(f"x is a number above 0, not {x!r}")
        self._board.set_rate(float(x))
        return {}

    async def _leap(self, s: int) -> Answer:
        if _number(s, "s") < 0:
            raise ValueError("time does not run backwards")
        await self._board.leap(s)
        return {}

    async def _fault(self, part: str, name: str, value: int) -> Answer:
        return await self._board.tell("fault", part=str(part), name=str(name), value=_number(value, "value"))

    async def _wifi(self, present: bool | None = None, networks: dict[str, str] | None = None) -> Answer:
        """present: every network, or none; networks: {ssid: key}."""
        if (present is None) == (networks is None):
            raise ValueError("either present or networks")
        return await self._board.tell("wifi", networks=networks if networks is not None else (None if present else {}))

    async def _trouble(self, name: str, value: object = 1) -> Answer:
        self._board.trouble.set(name, value)
        return {}

    async def _probe(self, **values: Any) -> Answer:
        return await self._ask("probe", values=values)

    async def _program(self) -> Answer:
        """What the program's side of the board knows."""
        return await self._ask("status")

    async def _log(self, on: bool) -> Answer:
        self._board.flash.record(bool(on))
        return await self._board.tell("log", on=bool(on))

    async def _quit(self) -> Answer:
        asyncio.get_running_loop().call_later(0.05, self._end)  # after the answer
        return {}

    async def _ask(self, name: str, /, **values: Any) -> Answer:
        if self._board.program is None:
            raise ValueError(f"no program runs: the board is {self._board.state}")
        return await self._board.program.ask(name, **values)

    def _needs_power(self) -> None:
        if self._board.state is State.OFF:
            raise ValueError("the board has no power")


def _values(order: Callable[..., Awaitable[Answer]]) -> str:
    """`after [keep]`: the values of an order, those with brackets if need be."""
    found = inspect.signature(order).parameters.values()
    names = [one.name if one.default is one.empty else f"[{one.name}]" for one in found]
    return " ".join(names) or "no values"


def _state(name: str) -> State:
    try:
        return State(name)
    except ValueError:
        raise ValueError(f"no state {name!r}: one of {', '.join(State)}") from None


def _number(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is a whole number, not {value!r}")
    return value
