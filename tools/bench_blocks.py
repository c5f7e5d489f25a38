"""Blocks per second from the archive through a real broker to nodes that ask for the next as soon as they have one.

    python -m tools.bench_blocks            one JSON line

The service's side (`fleet.bus`, `fleet.blocks`) runs in this process without its limits, the nodes in another one over
raw sockets, against a real nats-server, without TLS as in bench_ingest. `while_building` is the same while payloads are
built all the time, in pure Python as the real ones are.
"""

import argparse
import json
import select
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

from fleet.blocks import BlockServer
from fleet.blocks.rate import Limits
from fleet.blocks.shelf import Shelf
from fleet.bus import Bus, Delivery, Endpoint
from fleet.releases import delta
from fleet.releases.archive import Archive
from fleet.store.releases import Published
from protocol import manifest
from protocol.update import BASE, MAX_BLOCK, MAX_WINDOW, Ask
from tools.bench_ingest import broker, node_name, print_error

IMAGE = bytes(range(256)) * 4096  # 1 MiB
RELEASE = sha256(b"release").digest()
ENDLESS = Limits(1e9, 1e9, 1e9, 1e9)
PATIENCE_S = 60
FILTER = "lum/1/+/up/#"


class Asker:
    """One node: one question under way, the next when all its blocks have come."""

    def __init__(self, port: int, name: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.blocks = 0
        self.waits_ms: list[float] = []
        self._topic = f"lum/1/{name}/up/block".encode()
        self._buffer = b""
        self._missing = 0
        self._asked = 0.0
        text = name.encode()
        connect = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack("!H", len(text)) + text
        self.socket.sendall(b"\x10" + bytes([len(connect)]) + connect)
        assert self.socket.recv(4) == b"\x20\x02\x00\x00"
        where = f"lum/1/{name}/down/block".encode()
        subscribe = b"\x00\x01" + struct.pack("!H", len(where)) + where + b"\x00"
        self.socket.sendall(b"\x82" + bytes([len(subscribe)]) + subscribe)
        assert self.socket.recv(5)[0] == 0x90

    def ask(self) -> None:
        """The next question."""
        offset = self.blocks % (len(IMAGE) // MAX_BLOCK // MAX_WINDOW) * MAX_BLOCK * MAX_WINDOW
        payload = Ask(what=BASE, release=RELEASE, offset=offset, count=MAX_WINDOW).encode()
        body = struct.pack("!H", len(self._topic)) + self._topic + payload
        self._missing = MAX_WINDOW
        self._asked = time.perf_counter()
        self.socket.sendall(b"\x30" + bytes([len(body)]) + body)

    def receive(self) -> None:
        """Count what came, and ask on."""
        data = self.socket.recv(65536)
        assert data, "the broker closed the connection"
        self._buffer += data
        while len(self._buffer) > 3:  # a block is longer than 127 bytes and shorter than 16 384: two bytes of length
            size = 3 + (self._buffer[1] & 127 | self._buffer[2] << 7)
            if len(self._buffer) < size:
                return
            self._buffer = self._buffer[size:]
            self.blocks += 1
            self._missing -= 1
            if not self._missing:
                self.waits_ms.append(1000 * (time.perf_counter() - self._asked))
                self.ask()


def pull(port: int, nodes: int, span_s: float) -> None:
    """Be the nodes: print how many blocks came, and how long a question took."""
    askers = [Asker(port, node_name(index)) for index in range(nodes)]
    poller = select.poll()
    by_handle = {asker.socket.fileno(): asker for asker in askers}
    for handle in by_handle:
        poller.register(handle, select.POLLIN)
    start = time.monotonic()
    for asker in askers:
        asker.ask()
    while time.monotonic() - start < span_s:
        for handle, _ in poller.poll(1000):
            by_handle[handle].receive()
    waits = sorted(wait for asker in askers for wait in asker.waits_ms)
    result: dict[str, Any] = {"blocks": sum(asker.blocks for asker in askers), "waits": len(waits)}
    if waits:
        result |= {"p50_ms": round(waits[len(waits) // 2], 1), "p99_ms": round(waits[len(waits) * 99 // 100], 1)}
    print(json.dumps(result))


def serve(port: int, nodes: int, span_s: float, directory: Path, busy: bool) -> dict[str, Any]:
    """One measurement."""
    archive = Archive(directory)
    release = Published(RELEASE, "air", "1", 1, bytes(32), 1, archive.put(IMAGE), b"envelope", 1, "bench")
    shelf = Shelf(archive, directory / "payloads", lambda: [release], lambda _version: None)
    with ExitStack() as stack:
        made: Bus

        def deliver(delivery: Delivery) -> bool:
            server.offer(delivery.topic, delivery.payload)
            return True

        made = Bus(Endpoint("127.0.0.1", port, "bench"), (FILTER,), deliver, lambda _line: None)
        products = {node_name(index): "air" for index in range(nodes)}
        server = BlockServer(shelf, lambda: products, made.post, print_error, ENDLESS)
        server.start()
        stack.callback(server.finish)
        made.start()
        stack.callback(made.stop)
        assert made.up.wait(PATIENCE_S)
        if busy:
            stack.enter_context(_Building())
        before = time.process_time()
        words = [sys.executable, "-m", "tools.bench_blocks", "pull", str(port), str(nodes), str(span_s)]
        run = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        cpu_s = time.process_time() - before
        found: dict[str, Any] = json.loads(run.stdout)
        found["cpu_us"] = cpu_s / found["blocks"] * 1e6
        found["lost"] = server.figures().lost
    return found


class _Building:
    """Builds payloads without end."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        programs = []
        for version in ("1", "2"):
            files = {"app.mpy": b"".join(sha256(b"%d" % n).digest() for n in range(300 * int(version)))}
            programs.append(delta.Program(manifest.build(version, files).encode(), files))
        while not self._stop.is_set():
            delta.delta(*programs)


def compare(rounds: int, nodes: int, span_s: float) -> dict[str, Any]:
    """Alone and while payloads are built, in turn."""
    found: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    with broker("2m") as port, tempfile.TemporaryDirectory(prefix="bench-") as directory:
        for _ in range(rounds):
            for busy, results in found.items():
                results.append(serve(port, nodes, span_s, Path(directory), busy))
    alone, building = found[False], found[True]

    def median(rows: list[dict[str, Any]], key: str) -> float:
        return float(statistics.median(row[key] for row in rows))

    return {
        "bench": "blocks",
        "rounds": rounds,
        "nodes": nodes,
        "span_s": span_s,
        "rate_per_s": round(median(alone, "blocks") / span_s),
        "cpu_us": round(median(alone, "cpu_us"), 1),
        "answer_p50_ms": median(alone, "p50_ms"),
        "answer_p99_ms": median(alone, "p99_ms"),
        "rate_while_building_per_s": round(median(building, "blocks") / span_s),
        "answer_while_building_p99_ms": median(building, "p99_ms"),
        "lost": sum(row["lost"] for row in alone + building),
    }


def main(arguments: list[str]) -> None:
    """Parse and run; the first word `pull` means: be the nodes of a measurement."""
    if arguments and arguments[0] == "pull":
        pull(int(arguments[1]), int(arguments[2]), float(arguments[3]))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=100, help="that ask at a time")
    parser.add_argument("--span", type=float, default=4, help="seconds of one measurement")
    given = parser.parse_args(arguments)
    print(json.dumps(compare(given.rounds, given.nodes, given.span)))


if __name__ == "__main__":
    main(sys.argv[1:])
