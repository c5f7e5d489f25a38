"""A node that is nothing but a Link, under MicroPython: `micropython link_probe.py CONFIG.json`.

Lines of JSON on stdin are orders, lines of JSON on stdout say what happened. Time runs `speed` times as fast as the
wall clock.
"""

import asyncio
import gc
import json
import sys
import time
from asyncio import core

ROOT = sys.argv[2]
sys.path[0:1] = [ROOT, ROOT + "/firmware"]

from node.core.clock import Clock  # noqa: E402
from node.tasks.link import Link  # noqa: E402
from protocol.identity import Identity  # noqa: E402


def say(**event):
    print(json.dumps(event))


class FastQueue:
    """The I/O queue of asyncio with shorter waits."""

    def __init__(self, inner, speed):
        self.inner = inner
        self.map = inner.map
        self.queue_read = inner.queue_read
        self.queue_write = inner.queue_write
        self.remove = inner.remove
        self.speed = speed

    def wait_io_event(self, dt):
        self.inner.wait_io_event(dt if dt <= 0 else max(1, dt // self.speed))


def quicken(speed):
    start = time.ticks_ms()

    def ticks():
        return time.ticks_add(start, time.ticks_diff(time.ticks_ms(), start) * speed)

    core.ticks = ticks
    core._io_queue = FastQueue(core._io_queue, speed)
    return ticks


class Net:
    def __init__(self, dns, join_ms):
        self.server = tuple(dns) if dns else None
        self.connects = 0
        self.join_ms = join_ms

    async def connect(self):
        await asyncio.sleep_ms(self.join_ms)
        self.connects = 1
        return True

    def is_up(self):
        return self.connects > 0

    def rssi(self):
        return None

    def dns(self):
        return self.server


class Item:
    def __init__(self, text):
        self.name = "tele"
        self.count = 1
        self.text = text


class Source:
    """Texts in memory, given out in order."""

    def __init__(self):
        self.on_ready = None
        self.returned = []
        self.waiting = []

    def put(self, texts):
        self.waiting.extend([Item(text) for text in texts])
        if self.on_ready:
            self.on_ready()

    def take(self):
        line = self.returned or self.waiting
        return line.pop(0) if line else None

    def render(self, item):
        return item.text.encode()

    def done(self, item):
        say(done=item.text if len(item.text) < 50 else len(item.text))

    def release(self, item):
        say(release=item.text)
        self.returned.insert(0, item)


def read_file(path):
    if not path:
        return b"x"
    with open(path, "rb") as file:
        return file.read()


async def ticker(state):
    """Counts how often the loop wakes us, and measures how late at worst (wall-clock milliseconds)."""
    while True:
        before = time.ticks_ms()
        await asyncio.sleep_ms(state["step"])
        state["beats"] += 1
        state["lag"] = max(state["lag"], time.ticks_diff(time.ticks_ms(), before) - state["step"] // state["speed"])


def nothing():
    pass


def obey(order, link, source, state):
    if "put" in order:
        source.put(order["put"])
    if "publish" in order:
        name, text, retain = order["publish"]
        say(queued=link.publish(name, text.encode(), retain))
    if "settings" in order:
        state["settings"].update(order["settings"])
        link.renew()
    if "stats" in order:
        stats = link.stats
        fields = (
            "connects",
            "resumed",
            "resends",
            "last_reason",
            "acked",
            "strays",
            "received",
            "oversize",
            "unknown",
        )
        found = {name: getattr(stats, name) for name in fields}
        found.update(
            up=link.up,
            here=link.acked_here,
            lag=state["lag"],
            beats=state["beats"],
            p50=stats.ack_p50_ms,
            p95=stats.ack_p95_ms,
            entries=stats.entries,
        )
        gc.collect()
        found["heap"] = gc.mem_alloc()
        say(stats=found)


def random_of(seed):
    state = [seed]

    def random(below):
        state[0] = (state[0] * 1103515245 + 12345) & 0x7FFFFFFF
        return (state[0] >> 8) % below

    return random


def identity_of(config):
    return Identity(
        node=config["node"],
        kind="air",
        board="host",
        boot0=1,
        ca=read_file(config.get("ca")),
        cert=read_file(config.get("cert")),
        key=read_file(config.get("key")),
        brokers=config["brokers"],
    )


def settings_of(config):
    settings = {"keepalive_s": 60, "window": 4, "backoff_max_s": 5, "start_jitter_s": 0}
    settings.update(config.get("settings", {}))
    return settings


def link_of(config, clock, source, settings):
    link = Link(
        clock,
        identity_of(config),
        Net(config.get("dns"), config.get("join_ms", 1)),
        source,
        lambda name: settings[name],
        random_of(config.get("seed", 7)),
        lambda level, tag, text: say(log=text, level=level, ms=clock.uptime_ms()),
        boot=5,
        set_rtc=lambda utc_s: say(rtc=utc_s),
        heap=lambda: (1000, config.get("largest")),
        secure=bool(config.get("ca")),
    )
    for name in ("cmd", "config"):
        link.handlers[name] = lambda data, name=name: say(
            got=name, size=len(data), text=str(data[:40], "utf-8"), ms=clock.uptime_ms()
        )
    link.on_up.append(lambda: say(up=link.stats.connects, resumed=link.stats.resumed))
    return link


async def main(config):
    speed = config.get("speed", 1)
    source = Source()
    clock = Clock(quicken(speed) if speed > 1 else time.ticks_ms)
    clock.floor_s = config.get("floor_s", 0)
    settings = settings_of(config)
    link = link_of(config, clock, source, settings)
    state = {"lag": 0, "beats": 0, "step": 10 * speed, "speed": speed, "settings": settings}
    state["ticker"] = asyncio.create_task(ticker(state))
    run = asyncio.create_task(link.run(nothing))
    say(ready=True)
    orders = asyncio.StreamReader(sys.stdin)
    while True:
        line = await orders.readline()
        if not line:
            break
        order = json.loads(line)
        if "close" in order:
            await link.close()
            await run
            say(closed=True)
            break
        obey(order, link, source, state)


with open(sys.argv[1]) as opened:
    asyncio.run(main(json.load(opened)))
