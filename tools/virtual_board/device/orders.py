"""Orders from outside while the program runs: one JSON object each, {"do": NAME, "id": N, ...}, answered by id."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tools.virtual_board.device.board import Board


class Orders:
    """Carries out orders on `board`. An order that makes no sense is answered with `error`, and ends nothing."""

    def __init__(self, board: "Board") -> None:
        self._board = board
        self._table: "dict[str, Any]" = {
            "rate": self._rate,
            "leap": self._leap,
            "fault": self._fault,
            "wifi": self._wifi,
            "cut": self._cut,
            "log": self._log,
            "probe": self._probe,
            "status": self._status,
            "interrupt": self._interrupt,
        }

    def obey(self, order: "dict[str, Any]") -> None:
        """One order; its answer goes out as soon as there is one."""
        try:
            answer = self._table[order["do"]](order)
        except Exception as error:
            answer = {"error": "{}: {}".format(type(error).__name__, error)}
        if answer is not None:
            self._answer(order, answer)

    def _answer(self, order: "dict[str, Any]", answer: "dict[str, Any]") -> None:
        if "id" in order:
            self._board.counters.elapsed()
            self._board.channel.send({"id": order["id"], "answer": answer})

    def _rate(self, order: "dict[str, Any]") -> "dict[str, Any]":
        self._board.clock.set_rate(order["x"])
        return {}

    def _interrupt(self, order: "dict[str, Any]") -> None:
        if self._board.real_ms() <= order["until"]:
            self._board.channel.send({"interrupted": True})
            raise KeyboardInterrupt

    def _leap(self, order: "dict[str, Any]") -> None:
        self._board.channel.send({"id": order.get("id", 0)})
        self._board.clock.leap(order["s"] * 1000, lambda: self._answer(order, {}))

    def _fault(self, order: "dict[str, Any]") -> "dict[str, Any]":
        self._board.bench.fault(order["part"], order["name"], order["value"])
        return {}

    def _wifi(self, order: "dict[str, Any]") -> "dict[str, Any]":
        self._board.radio.air(order["networks"])
        return {}

    def _cut(self, order: "dict[str, Any]") -> "dict[str, Any]":
        chip = self._board.chip
        chip.cut_after(order["after"], order["keep"])
        return {"at": chip.operations + order["after"]}

    def _log(self, order: "dict[str, Any]") -> "dict[str, Any]":
        self._board.record(order["on"])
        return {}

    def _probe(self, order: "dict[str, Any]") -> "dict[str, Any]":
        ask = getattr(self._board.probe, "ask", None)
        if ask is None:
            raise ValueError("this board has no probe that answers")
        found: "dict[str, Any]" = ask(self._board, order["values"])
        return found

    def _status(self, order: "dict[str, Any]") -> "dict[str, Any]":
        board = self._board
        return {
            "elapsed_ms": board.timeline.now_ms(),
            "uptime_ms": board.uptime_ms(),
            "utc_s": board.world_s(),
            "wifi": board.radio.state(),
            "faults": {name: part.faults for name, part in board.bench.parts.items() if part.faults},
        }
