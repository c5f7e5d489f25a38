"""What a program meets behind machine, network and time: parts by their pins, Wi-Fi, clocks, watchdogs."""

import asyncio

import pytest

from tools.virtual_board.program import ProgramError
from tools.virtual_board.tests.programs import EPOCH_S, PROMPT, Rig, play, to_prompt

I2C = "import machine\nbus = machine.I2C(0, scl=machine.Pin({}), sda=machine.Pin({}), freq=100000)\n"
WIFI = (
    "import network, time\nw = network.WLAN(network.WLAN.IF_STA)\nw.active(True)\nw.config(reconnects=0)\n"
    "start = time.ticks_ms()\nw.connect({!r}, {!r})\n"
    "while not w.isconnected() and (w.status() == network.STAT_CONNECTING):\n    time.sleep_ms(50)\n"
)

# sentence: (kind of node whose parts are wired, chip, program, what it prints)
PARTS = {
    "the sensors are where the pin map says": ("air", "esp32", I2C.format(22, 21) + "print(bus.scan())", "[107, 118]"),
    "on another chip elsewhere": ("air", "esp32s3", I2C.format(9, 8) + "print(bus.scan())", "[107, 118]"),
    "not on other pins": ("air", "esp32", I2C.format(18, 19) + "print(bus.scan())", "[]"),
    "nothing is wired to a bare board": ("none", "esp32", I2C.format(22, 21) + "print(bus.scan())", "[]"),
    "a part that is not there does not acknowledge": (
        "none",
        "esp32",
        I2C.format(22, 21) + "try:\n    bus.readfrom(0x76, 1)\nexcept OSError as e:\n    print(e)",
        "[Errno 19] ENODEV",
    ),
    "a register of a part": ("air", "esp32", I2C.format(22, 21) + "print(bus.readfrom_mem(0x76, 0xD0, 1))", "b'`'"),
    "bits by hand do as well": (
        "air",
        "esp32",
        "from machine import Pin, SoftI2C\nprint(SoftI2C(Pin(22), Pin(21)).scan())",
        "[107, 118]",
    ),
    "the meter talks on its line": (
        "light",
        "esp32",
        "import machine, time\nu = machine.UART(2, 4800, parity=0, tx=17, rx=16)\ntime.sleep_ms(200)\n"
        "print(u.any() > 24, b'\\x55\\x5a' in u.read())",
        "True True",
    ),
    "at another rate it is noise": (
        "light",
        "esp32",
        "import machine, time\nu = machine.UART(2, 9600, tx=17, rx=16)\ntime.sleep_ms(200)\n"
        "print(b'\\x55\\x5a' in u.read())",
        "False",
    ),
    "a pin that is pulled up": (
        "none",
        "esp32",
        "from machine import Pin\nprint(Pin(4, Pin.IN, Pin.PULL_UP).value())",
        "1",
    ),
    "an output": (
        "none",
        "esp32",
        "from machine import Pin\np = Pin(2, Pin.OUT)\np.on()\nprint(p(), Pin(2).value())",
        "1 1",
    ),
    "an inverted signal": (
        "none",
        "esp32",
        "from machine import Pin, Signal\ns = Signal(Pin(2, Pin.OUT), invert=True)\ns.on()\n"
        "print(s.value(), Pin(2).value())",
        "1 0",
    ),
    "PWM in all its units": (
        "none",
        "esp32",
        "from machine import Pin, PWM\np = PWM(Pin(4), freq=1000, duty_u16=16384)\n"
        "print(p.freq(), p.duty_u16(), p.duty(), p.duty_ns())",
        "1000 16384 255 250003",
    ),
    "an analogue input": ("none", "esp32", "from machine import ADC, Pin\nprint(ADC(Pin(34)).read_u16())", "32767"),
    "the heap outside Python": (
        "none",
        "esp32",
        "import esp32\nprint(max(r[2] for r in esp32.idf_heap_info(esp32.HEAP_DATA)) > 17408)",
        "True",
    ),
    "values that survive": (
        "none",
        "esp32",
        "import esp32\nn = esp32.NVS('a')\nn.set_i32('x', 5)\nn.commit()\nprint(esp32.NVS('a').get_i32('x'))",
        "5",
    ),
    "seconds count from 2000": (
        "none",
        "esp32",
        "import time\nprint(time.gmtime(0)[:6], time.time() < 9)",
        "(2000, 1, 1, 0, 0, 0) True",
    ),
    "a date and its seconds": (
        "none",
        "esp32",
        "import time\nprint(time.mktime((2026, 1, 1, 0, 0, 0, 0, 0)) + 946684800, time.gmtime(820454400)[:3])",
        f"{EPOCH_S} (2025, 12, 31)",
    ),
    "the clock can be set": (
        "none",
        "esp32",
        "import machine, time\nmachine.RTC().datetime((2026, 2, 3, 0, 4, 5, 6, 0))\n"
        "print(machine.RTC().datetime()[:7], time.time() > 0)",
        "(2026, 2, 3, 1, 4, 5, 6) True",
    ),
    "a timer calls back while the program waits": (
        "none",
        "esp32",
        "import machine, time\nn = []\nt = machine.Timer(0, period=10, callback=n.append)\n"
        "time.sleep_ms(55)\nt.deinit()\ntime.sleep_ms(50)\nprint(len(n))",
        "5",
    ),
    "time passes while it sleeps": (
        "none",
        "esp32",
        "import time\na, b = time.ticks_ms(), time.ticks_us()\ntime.sleep(0.05)\ntime.sleep_us(1500)\n"
        "print(50 <= time.ticks_diff(time.ticks_ms(), a) < 500, 49000 <= time.ticks_diff(time.ticks_us(), b) < 500000)",
        "True True",
    ),
    "any network, when nobody says which": (
        "none",
        "esp32",
        WIFI.format("x", "y") + "print(w.status(), w.ifconfig()[0])",
        "1010 127.0.0.1",
    ),
    "how far it is": (
        "none",
        "esp32",
        WIFI.format("x", "y") + "print(-75 < w.status('rssi') < -40, w.config('channel'))",
        "True",
    ),
    "how long it takes": (
        "none",
        "esp32",
        WIFI.format("x", "y") + "print(4000 <= time.ticks_diff(time.ticks_ms(), start) < 4700)",
        "True",
    ),
    "no socket without a network": (
        "none",
        "esp32",
        "import socket\ntry:\n    socket.socket()\nexcept OSError as e:\n    print(e)",
        "[Errno 113] EHOSTUNREACH",
    ),
    "no names either": (
        "none",
        "esp32",
        "import socket\ntry:\n    socket.getaddrinfo('localhost', 80)\nexcept OSError as e:\n    print(e)",
        "-202",
    ),
}


@pytest.mark.parametrize("sentence", PARTS)
def test_what_a_program_meets(tmp_path, sentence):
    fit, chip, program, wanted = PARTS[sentence]
    said = to_prompt(
        Rig(tmp_path, {"/main.py": program}, fit=fit, chip=chip, rate=20.0 if "network" in program else 1.0)
    )
    assert said.startswith(wanted), said


@pytest.mark.parametrize(
    ("ssid", "key", "status"), [("lab", "secret", 1010), ("bal", "secret", 201), ("lab", "x", 202), ("lab", "", 210)]
)
def test_the_networks_on_the_air(tmp_path, ssid, key, status):
    text = WIFI.format(ssid, key) + "print('status', w.status())\nprint([row[0] for row in w.scan()])"
    said = to_prompt(Rig(tmp_path, {"/main.py": text}, wifi={"lab": "secret"}, rate=50.0))
    assert said.startswith(f"status {status}\r\n[b'lab']\r\n")


def test_port_53_of_the_name_server_is_where_the_host_has_it(tmp_path):
    text = (
        WIFI.format("x", "y") + "import socket\ns = w.ifconfig()[3]\n"
        "for p in (53, 54):\n    print(socket.sockaddr(socket.getaddrinfo(s, p)[0][-1])[2])"
    )
    said = to_prompt(Rig(tmp_path, {"/main.py": text}, dns=("127.0.0.1", 5353), rate=50.0))
    assert said.startswith("5353\r\n54\r\n")


def test_faults_are_switched_on_and_stay_over_resets(tmp_path):
    loop = I2C.format(22, 21) + "import time\nwhile True:\n    print('parts', len(bus.scan()))\n    time.sleep_ms(5)\n"

    async def script(rig):
        await rig.says("parts 2")
        await rig.program.ask("fault", part="bme280", name="unplugged", value=1)
        await rig.says("parts 1")
        with pytest.raises(ProgramError, match="flat"):
            await rig.program.ask("fault", part="bme280", name="flat", value=1)
        await rig.program.kill()
        await rig.again(1)
        await rig.says("parts 1")
        assert "parts 2" not in rig.said
        await rig.program.ask("fault", part="bme280", name="unplugged", value=0)
        await rig.says("parts 2")

    play(Rig(tmp_path, {"/main.py": loop}, fit="air"), script)


def test_a_lamp_follows_its_pin(tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text("def ask(board, values):\n    return {'light': board.bench.pwm['lamp'].light()}\n")
    text = (
        "from machine import Pin, PWM\nimport time\nlamp = PWM(Pin(25), freq=1000, duty_u16=65535)\n"
        "for duty in (0, 32768):\n    lamp.duty_u16(duty)\n    time.sleep(1)\nlamp.deinit()\ntime.sleep(9)\n"
    )

    async def script(rig):
        seen = set()
        while len(seen) < 3:
            light = (await rig.program.ask("probe", values={}))["light"]
            seen.add(0 if light == 0 else 1 if light > 0.99 else round(light, 1))
        assert seen == {0, 0.5, 1}

    play(Rig(tmp_path, {"/main.py": text}, fit="light", probe=probe), script)


def test_a_probe_sees_the_board_and_the_program(tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import os\n"
        "def before(board):\n    board.witness = open(board.setup.directory + '/witness', 'w')\n"
        "def booted(board):\n    import settings\n    settings.LIMIT = 7\n"
        "def ask(board, values):\n    board.witness.write(str(values))\n    return {'twice': 2 * values['x']}\n"
    )
    text = "import settings, time\nprint(settings.LIMIT)\ntime.sleep(30)\n"

    async def script(rig):
        await rig.says("7\r\n")
        assert await rig.program.ask("probe", values={"x": 4}) == {"twice": 8}

    play(Rig(tmp_path, {"/main.py": text, "/settings.py": "LIMIT = 1"}, probe=probe), script)
    assert (tmp_path / "witness").read_text() == "{'x': 4}"


def test_time_runs_at_a_rate_and_leaps(tmp_path):
    text = "import asyncio, time\nasync def main():\n    await asyncio.sleep(30)\n"
    text += "    print('half', time.ticks_ms() // 1000)\n    await asyncio.sleep(86400)\n"
    text += "    print('day', time.time() // 3600)\n    await asyncio.sleep(60)\nasyncio.run(main())\n"

    async def script(rig):
        rig.program.order("rate", x=100_000)
        await rig.says("half 30")
        await rig.program.ask("leap", s=86400)
        await rig.says("day 24")
        await rig.says(PROMPT)

    play(Rig(tmp_path, {"/main.py": text}), script)


def test_a_leap_lands_when_the_program_is_over(tmp_path):
    async def script(rig):
        await rig.program.ask("leap", s=86400)
        await rig.says(PROMPT)

    play(Rig(tmp_path, {"/main.py": "import time\ntime.sleep(5)\n"}), script)


def test_at_the_prompt_what_changes_the_board_counts_from_the_next_access_on(tmp_path):
    async def script(rig):
        await rig.says(PROMPT)
        await rig.typed("len(bus.scan())\r\n", "\n2\r\n")
        assert await rig.program.ask("fault", part="bme280", name="unplugged", value=1) == {"pending": True}
        await rig.typed("len(bus.scan())\r\n", "\n1\r\n")
        for name, values in (("status", {}), ("leap", {"s": 5})):
            with pytest.raises(ProgramError, match="at its prompt"):
                await rig.program.ask(name, **values)
        with pytest.raises(ProgramError, match="wired"):
            await rig.program.ask("fault", part="lamp", name="failed", value=1)

    play(Rig(tmp_path, {"/main.py": I2C.format(22, 21)}, fit="air"), script)


def test_the_watchdog_bites_who_waits_in_his_own_time(tmp_path):
    text = "import machine, time\nw = machine.WDT(timeout=60000)\ntime.sleep(50)\nw.feed()\nprint('fed')\n"
    text += "time.sleep(70)\nprint('no')"
    rig = Rig(tmp_path, {"/main.py": text}, rate=200.0)
    assert play(rig, Rig.ended) == "fed\r\n"
    assert [(end.kind, end.cause) for end in rig.ends] == [("reset", 3)]
    assert 110_000 <= rig.ends[0].elapsed_ms < 111_000


@pytest.mark.parametrize("body", ["while True:\n    pass\n", "open('/x')\n"])
def test_the_watchdog_bites_who_never_waits_and_who_stands_at_the_prompt(tmp_path, body):
    rig = Rig(tmp_path, {"/main.py": "import machine\nmachine.WDT(timeout=1000)\n" + body})
    play(rig, Rig.ended)
    assert [(end.kind, end.cause) for end in rig.ends] == [("reset", 3)]


def test_a_watchdog_survives_a_soft_reset(tmp_path):
    text = "import machine\nif machine.reset_cause() != 5:\n    machine.WDT(timeout=1500)\n    machine.soft_reset()\n"
    rig = Rig(tmp_path, {"/main.py": text})
    said = play(rig, Rig.ended)
    assert "MPY: soft reboot" in said
    assert rig.ends[0].cause == 3


def test_what_the_flash_does_is_counted_and_logged(tmp_path):
    async def script(rig):
        await rig.says(PROMPT)
        assert rig.program.operations > 7
        await rig.typed("\x04", PROMPT)
        assert rig.program.operations > 7

    rig = Rig(tmp_path, {"/main.py": "with open('/x', 'w') as f:\n    f.write('abc')\n"}, operations=7, log=True)
    play(rig, script)
    assert (tmp_path / "operations.bin").stat().st_size > 100


def test_orders_while_nothing_runs_count_from_the_next_start(tmp_path):
    rig = Rig(tmp_path, {"/main.py": WIFI.format("lab", "secret") + "print('status', w.status())"}, rate=50.0)

    async def main():
        rig.program.order("wifi", networks={})
        with pytest.raises(ProgramError, match="no program runs"):
            await rig.program.ask("status")
        await rig.program.start(1)
        await rig.says("status 201")
        await rig.program.kill()
        await rig.program.kill()

    asyncio.run(main())
