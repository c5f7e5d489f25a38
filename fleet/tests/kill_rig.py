"""A service of rollouts as a process of its own, which is killed at every point where a kill could leave a trace.

Nothing but a write or a message leaves a trace. So the points are: before every statement that writes, before and
behind every commit, before, between and behind the messages of every batch. Each point is known by when it comes:
(second, kind, how often in this second), and the process is killed at each of them once, by SIGKILL.

Parent and child speak over two pipes, a line of JSON each. What the child has said before it dies counts: what it
published has arrived, what it did not acknowledge is said to it again, as a broker does.
"""

import base64
import json
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from sqlalchemy import Connection, event

from fleet.bus import Message
from fleet.config import Config
from fleet.rollout.model import Command, Verb
from fleet.tests.rollout_rig import Service, Told, World

_WRITES = ("INSERT", "UPDATE", "DELETE")


@dataclass
class _Points:
    """Counts the points of one second in the child, and ends it at the first where no child has ended before."""

    out: IO[str]
    done: set[tuple[int, str, int]]
    second: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def begin(self, second: int) -> None:
        self.second = second
        self.counts.clear()

    def point(self, kind: str) -> None:
        self.counts[kind] = number = self.counts.get(kind, 0) + 1
        if (self.second, kind, number) not in self.done:
            say(self.out, dies=[self.second, kind, number])
            os.kill(os.getpid(), signal.SIGKILL)


def say(out: IO[str], **what: Any) -> None:
    """One line, which has left this process when the call returns."""
    out.write(json.dumps(what) + "\n")
    out.flush()


def _watch_writes(service: Service, points: _Points) -> None:
    engine = service.store._engine

    writes = []  # of the present transaction

    def before(_c: object, _u: object, statement: str, *_: object) -> None:
        if statement.startswith(_WRITES):
            writes.append(statement)
            points.point(f"before {statement.split(' ', 1)[0]}")

    def commit(connection: Connection) -> None:
        if writes:
            points.point("before COMMIT")
            connection.connection.commit()
            writes.clear()
            points.point("after COMMIT")

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "commit", commit)


def _child(config: Config, inward: IO[str], out: IO[str], done: set[tuple[int, str, int]]) -> None:
    """Serve seconds until the pipe ends, or until the point where it dies."""
    points = _Points(out, done)

    def publish(messages: Sequence[Message]) -> list[int]:
        points.point("before batch")
        for message in messages:
            say(out, topic=message.topic, payload=base64.b64encode(message.payload).decode())
            points.point("between messages")
        points.point("after batch")
        return list(range(len(messages)))

    service = Service(config, publish)
    _watch_writes(service, points)
    for line in inward:
        asked = json.loads(line)
        points.begin(asked["now_s"])
        service.now_s = asked["now_s"]
        told = [(node, name, base64.b64decode(payload)) for node, name, payload in asked["told"]]
        points.point("before store")
        if told:
            service.take(told)
        points.point("after store")
        say(out, stored=True)
        if asked["command"]:
            command = Command(Verb(asked["command"]), "ops@desk")
            rollout = asked["rollout"]
            since = service.store.audit.entries(f"rollout {rollout}", asked["after"])
            if not any(one.action == command.verb for one in since):  # an operator looks before he says it again
                service.driver.order(rollout, command, asked["now_s"])
            points.point("after command")
        service.tick(asked["now_s"])
        points.point("after tick")
        say(out, done=True)


@dataclass
class Killed:
    """A world whose service dies at every point once."""

    world: World
    deaths: list[tuple[int, str, int]] = field(default_factory=list)
    _pid: int = 0
    _to: IO[str] | None = None
    _from: IO[str] | None = None

    def start(self) -> None:
        down, up = os.pipe(), os.pipe()
        self._pid = os.fork()
        if not self._pid:
            code = 1
            with suppress(BaseException):
                os.close(down[1])
                os.close(up[0])
                _child(self.world.config, os.fdopen(down[0]), os.fdopen(up[1], "w"), set(self.deaths))
                code = 0
            os._exit(code)
        os.close(down[0])
        os.close(up[1])
        self._to, self._from = os.fdopen(down[1], "w"), os.fdopen(up[0])

    def end(self) -> int:
        """The pipe ends; how the child ended."""
        assert self._to is not None
        assert self._from is not None
        with suppress(BrokenPipeError):
            self._to.close()
        self._from.close()
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return status

    def second(self, command: Verb | None = None, rollout: int = 1) -> None:
        """One second: nodes take their turn, and the service is asked until it has got through it alive."""
        world = self.world
        world.now_s += 1
        for node in world.nodes.values():
            node.turn(world.now_s)
        told = world.told()
        newest = world.store.audit.newest()
        after = newest.seq if newest else 0
        while True:
            if not self._pid:
                self.start()
            left, alive = self._ask(told, command, rollout, after)
            told = left
            if alive:
                return
            status = self.end()
            assert os.WIFSIGNALED(status), "it ended by itself"
            assert os.WTERMSIG(status) == signal.SIGKILL

    def _ask(self, told: list[Told], command: Verb | None, rollout: int, after: int) -> tuple[list[Told], bool]:
        """What of `told` was not acknowledged, and whether the child lives."""
        assert self._to is not None
        assert self._from is not None
        encoded = [(node, name, base64.b64encode(payload).decode()) for node, name, payload in told]
        words = {"now_s": self.world.now_s, "told": encoded, "command": command and command.value}
        say(self._to, rollout=rollout, after=after, **words)
        for line in self._from:
            heard = json.loads(line)
            if "topic" in heard:
                self.world.publish([Message(heard["topic"], base64.b64decode(heard["payload"]), True)])
            elif "stored" in heard:
                told = []
            elif "dies" in heard:
                self.deaths.append(tuple(heard["dies"]))
            else:
                return told, True
        return told, False

    def run(self, seconds: int, until: Callable[[], bool] = lambda: False) -> None:
        for _ in range(seconds):
            if until():
                return
            self.second()
