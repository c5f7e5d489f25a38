"""From the reset to the prompt, and all the ways back: small programs on a flash image."""

import pytest

from tools.virtual_board.base import app_image
from tools.virtual_board.chips import CHIPS
from tools.virtual_board.tests.programs import OTA, PROMPT, Rig, play, to_prompt

SAYS = {
    "main.py runs after boot.py": ({"/boot.py": "print('one')", "/main.py": "print('two')"}, ["one\r\ntwo\r\nMicroPy"]),
    "they share their names": ({"/boot.py": "x = 41", "/main.py": "print(x + 1)"}, ["42\r\n"]),
    "an error says where": (
        {"/main.py": "def f():\n    1 / 0\nf()\n"},
        ['(most recent call last):\r\n  File "main.py", line 3, in <module>\r\n  File "main.py", line 2, in f\r\n'],
    ),
    "an error in boot.py keeps main.py from nothing": (
        {"/boot.py": "raise ValueError('b')", "/main.py": "print('m')"},
        ["ValueError: b\r\nm\r\n"],
    ),
    "a mistake in the syntax is one": ({"/main.py": "def\n"}, ['File "main.py", line 1', "SyntaxError"]),
    "modules lie in the root and in lib": (
        {"/here.py": "A = 1", "/lib/there.py": "B = 2", "/main.py": "import here, there; print(here.A + there.B)"},
        ["3\r\n"],
    ),
    "the host's files are gone": ({"/main.py": "import os; print(os.listdir('/'))"}, ["['main.py']\r\n"]),
    "so are its commands": ({"/main.py": "import os; print(hasattr(os, 'system'))"}, ["False\r\n"]),
    "the program sees an ESP32": (
        {"/main.py": "import sys, os; print(sys.platform, os.uname().sysname, os.uname().machine)"},
        ["esp32 esp32 Generic ESP32 module with ESP32\r\n"],
    ),
    "with the version of this interpreter": (
        {"/main.py": "import sys; print(sys.implementation.name, sys.implementation._machine, sys.path)"},
        ["micropython Generic ESP32 module with ESP32 ['', '.frozen', '/lib']\r\n"],
    ),
    "constants are still the compiler's": (
        {"/main.py": "from micropython import const\nA = const(3)\nprint(A)"},
        ["3"],
    ),
    "print to a stream works": ({"/main.py": "import sys\nprint('x', file=sys.stdout)"}, ["x\r\n"]),
    "its file system is the partition": (
        {"/main.py": "import os; s = os.statvfs('/'); print(s[0], s[2])"},
        ["4096 512\r\n"],
    ),
    "who it is": (
        {"/main.py": "import machine; print(machine.unique_id(), machine.reset_cause(), machine.freq())"},
        ["b'$\\n\\xc4\\x00\\x00\\x01' 1 160000000\r\n"],
    ),
}


@pytest.mark.parametrize("sentence", SAYS)
def test_what_a_program_finds(tmp_path, sentence):
    files, wanted = SAYS[sentence]
    said = to_prompt(Rig(tmp_path, files))
    for text in wanted:
        assert text in said
    assert said.endswith(PROMPT)


def test_a_blank_flash_is_formatted_once(tmp_path):
    rig = Rig(tmp_path, None)
    assert to_prompt(rig).startswith("Performing initial setup\r\nMicroPython ")

    async def script(rig):
        await rig.typed("\r\nimport os; os.listdir()\r\n", "['boot.py']")

    rig = Rig(tmp_path, None)
    play(rig, script)
    rig.program.setup = rig.setup

    async def again(rig):
        await rig.again(1)
        await rig.says(PROMPT)
        await rig.program.kill()

    import asyncio

    asyncio.run(again(rig))
    assert "initial" not in rig.said


def test_a_flash_that_holds_something_else_is_not_touched(tmp_path):
    rig = Rig(tmp_path, None)
    with rig.setup.flash.open("r+b") as file:
        file.seek(0x200000)
        file.write(b"what I had there" * 100)
    before = rig.setup.flash.read_bytes()
    said = play(rig, lambda rig: rig.says("appears to be corrupted"))
    assert "Performing" not in said
    assert rig.setup.flash.read_bytes() == before


def test_ctrl_d_starts_the_program_again_with_its_cause(tmp_path):
    async def script(rig):
        await rig.says(PROMPT)
        await rig.typed("kept = 1\r\n", PROMPT)
        await rig.typed("\x04", "cause 5")
        await rig.says(PROMPT, 3)
        await rig.typed("kept\r\n", "NameError")

    rig = Rig(tmp_path, {"/main.py": "import machine; print('cause', machine.reset_cause())"})
    said = play(rig, script)
    assert "cause 1\r\n" in said
    assert "MPY: soft reboot\r\ncause 5\r\n" in said
    assert rig.ends == []


def test_an_exit_from_main_is_a_soft_reset(tmp_path):
    text = "import sys, machine\nif machine.reset_cause() != 5:\n    sys.exit()\nprint('second time')\n"
    said = to_prompt(Rig(tmp_path, {"/main.py": text}))
    assert said.startswith("MPY: soft reboot\r\nsecond time\r\n")


def test_ctrl_c_leads_to_the_prompt(tmp_path):
    async def script(rig):
        await rig.says("loop")
        await rig.typed("\x03", "KeyboardInterrupt")
        await rig.says(PROMPT)
        await rig.typed("6*7\r\n", "42\r\n")

    text = "import time\nprint('loop')\nwhile True:\n    {}\n"
    for waiting in ("pass", "time.sleep(1)", "time.sleep_ms(1)"):
        play(Rig(tmp_path, {"/main.py": text.format(waiting)}), script)


def test_ctrl_c_ends_an_event_loop(tmp_path):
    text = "import asyncio\nasync def main():\n    print('loop')\n    while True:\n        await asyncio.sleep(5)\n"

    async def script(rig):
        await rig.says("loop")
        await rig.typed("\r\x03\r\x01", "raw REPL; CTRL-B to exit\r\n>")

    play(Rig(tmp_path, {"/main.py": text + "asyncio.run(main())\n"}), script)


def test_lines_may_be_typed_ahead(tmp_path):
    async def script(rig):
        await rig.says(PROMPT)
        rig.program.feed(b"import time\r\ntime.sleep_ms(20)\r\nx = 6\r\nx * 7\r\n")
        await rig.says("42\r\n")

    play(Rig(tmp_path, {}), script)


def test_the_raw_prompt_survives_a_soft_reset_and_main_does_not_run(tmp_path):
    async def script(rig):
        await rig.says("boot")
        await rig.typed("\r\x03\r\x01", "raw REPL; CTRL-B to exit\r\n>")
        await rig.typed("\x04", "MPY: soft reboot\r\nboot\r\n")
        await rig.says("raw REPL; CTRL-B to exit\r\n>", 2)
        await rig.typed("print(6*7)\x04", "OK42\r\n\x04\x04>")
        await rig.typed("\x02", PROMPT)
        await rig.typed("\x04", "main")

    said = play(Rig(tmp_path, {"/boot.py": "print('boot')", "/main.py": "import time\nprint('main')\n"}), script)
    assert said.count("main\r\n") == 2


def test_a_reset_ends_the_run_at_once_whatever_is_around_it(tmp_path):
    text = "import machine\ntry:\n    machine.reset()\nfinally:\n    print('never')\n"
    rig = Rig(tmp_path, {"/main.py": text})
    said = play(rig, Rig.ended)
    assert said == ""
    assert [(end.kind, end.cause) for end in rig.ends] == [("reset", 2)]


def test_a_deep_sleep_says_for_how_long(tmp_path):
    rig = Rig(tmp_path, {"/main.py": "import machine\nmachine.deepsleep(12345)\n"})
    play(rig, Rig.ended)
    assert [(end.kind, end.cause, end.sleep_ms) for end in rig.ends] == [("sleep", 4, 12345)]


def test_memory_of_the_rtc_survives_a_reset(tmp_path):
    text = "import machine\nr = machine.RTC()\nprint(r.memory())\nr.memory(b'kept')\nmachine.reset()\n"
    rig = Rig(tmp_path, {"/main.py": text})

    async def script(rig):
        await rig.ended()
        await rig.again(2)
        await rig.ended(2)

    assert play(rig, script) == "b'kept'\r\n"


def test_an_interpreter_that_dies_is_a_crash(tmp_path):
    import os
    import signal

    async def script(rig):
        await rig.says(PROMPT)
        os.kill(rig.program.pid, signal.SIGKILL)
        await rig.ended()

    rig = Rig(tmp_path, {})
    play(rig, script)
    assert rig.ends[0].kind == "crash"


def test_a_heap_of_a_certain_size(tmp_path):
    text = "import gc; print('heap', gc.mem_free() + gc.mem_alloc())"
    said = to_prompt(Rig(tmp_path, {"/main.py": text}, heap_kb=512))
    assert 480_000 < int(said.split()[1]) <= 512 * 1024


def test_it_is_another_chip(tmp_path):
    text = "import os, esp32; print(os.uname().machine, hasattr(esp32, 'mcu_temperature'))"
    assert "Generic ESP32S3 module with ESP32S3 True" in to_prompt(Rig(tmp_path, {"/main.py": text}, chip="esp32s3"))
    assert "Generic ESP32 module with ESP32 False" in to_prompt(Rig(tmp_path, {"/main.py": text}))


def test_an_update_of_the_interpreter(tmp_path):
    text = (
        "from esp32 import Partition as P\n"
        "run = P(P.RUNNING)\nnext = run.get_next_update()\n"
        "print(run.info()[4], next.info()[4], next.ioctl(4, 0))\n"
        "next.set_boot()\n"
        "print(P(P.BOOT).info()[4])\nP.mark_app_valid_cancel_rollback()\n"
        "print([p.info()[4] for p in P.find(P.TYPE_APP)], P.find(P.TYPE_DATA, label='vfs')[0].info()[2])\n"
    )
    rig = Rig(tmp_path, {"/main.py": text}, partitions=OTA, running="ota_0")
    rig.write(OTA[3]["offset"], app_image(CHIPS["esp32"], 4 << 20, 8192))
    said = to_prompt(rig)
    assert said.startswith("ota_0 ota_1 240\r\nota_1\r\n['ota_0', 'ota_1'] 2097152\r\n")


def test_a_cut_within_the_program_leaves_the_flash_torn_there(tmp_path):
    text = "with open('/x', 'w') as f:\n    f.write('y' * 5000)\nprint('done')\n"
    rig = Rig(tmp_path, {"/main.py": text}, cut=(3, 10), operations=100)
    said = play(rig, Rig.ended)
    assert said == ""
    assert [(end.kind, end.operations) for end in rig.ends] == [("cut", 103)]

    async def script(rig):
        await rig.ended()
        await rig.again(1)
        await rig.says("done")

    play(Rig(tmp_path, {"/main.py": text}, cut=(3, 10)), script)
