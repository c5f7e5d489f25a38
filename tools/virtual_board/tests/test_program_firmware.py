"""The firmware, unchanged, on the flash of a board: it starts, reports, measures, and survives a day."""

import re

import pytest

from fleet.flashing import firmware, image
from protocol.console import parse
from protocol.identity import Identity
from tools.virtual_board.tests.programs import FLASH, VFS, Rig, play


@pytest.fixture(scope="module")
def program():
    return firmware.load()


def rig(directory, program, kind, identity=True, **fields):
    found = Rig(directory, None, fit=kind, dns=("127.0.0.1", 9), **fields)
    who = Identity(
        node="abc",
        kind=kind,
        board=f"{found.setup.chip}_{kind}",
        boot0=5,
        ca=b"-",
        cert=b"-",
        key=b"-",
        brokers=["127.0.0.1:9"],
        wifi_ssid="lab",
        wifi_psk="secret",
    )
    data = image.build(image.files_of(program, who if identity else None), FLASH - VFS)
    with found.setup.flash.open("r+b") as flash:
        flash.seek(VFS)
        flash.write(data)
    return found


def reports(said):
    return [found for found in map(parse, said.splitlines()) if found]


@pytest.mark.parametrize(
    ("kind", "chip"), [("air", "esp32"), ("light", "esp32"), ("air", "esp32s3"), ("light", "esp32s3")]
)
def test_it_reports_who_it_is_and_starts(tmp_path, program, kind, chip):
    async def script(node):
        await node.says("I app: abc")
        await node.typed("?\n", "@lumenair")

    said = play(rig(tmp_path, program, kind, chip=chip), script)
    for report in reports(said):
        assert (report["node"], report["kind"], report["state"]) == ("abc", kind, "node")
        assert report["manifest"] == program.manifest
        assert report["mac"] == "240ac4000001"
    assert len(reports(said)) == 2
    assert "Traceback" not in said


def test_without_an_identity_it_stays_at_its_prompt(tmp_path, program):
    async def script(node):
        await node.says(">>> ")
        await node.typed("6*7\r\n", "42\r\n")

    said = play(rig(tmp_path, program, "air", identity=False), script)
    assert reports(said)[0]["state"] in ("unprovisioned", "claiming")


def test_wifi_that_is_not_there_is_said_and_survived(tmp_path, program):
    async def script(node):
        await node.says("link: no network")
        await node.program.ask("wifi", networks=None)
        await node.says("TLS")

    play(rig(tmp_path, program, "light", wifi={}, rate=60.0), script)


@pytest.mark.parametrize("kind", ["air", "light"])
def test_an_hour_passes_in_a_leap_without_a_reset(tmp_path, program, kind):
    async def script(node):
        await node.says("I app: abc")
        await node.program.ask("leap", s=3600)
        assert (await node.program.ask("status"))["uptime_ms"] >= 3600000

    node = rig(tmp_path, program, kind, wifi={})
    said = play(node, script)
    assert node.ends == []
    assert not re.search("Traceback|E sup|stray", said)


def test_ctrl_c_leads_from_the_node_to_the_prompt_and_ctrl_d_back(tmp_path, program):
    async def script(node):
        await node.says("I app: abc")
        await node.typed("\x03", ">>> ")
        await node.typed("\x04", "I app: abc")
        await node.typed("\r\x03\r\x01", "raw REPL; CTRL-B to exit\r\n>")

    said = play(rig(tmp_path, program, "air"), script)
    assert len(reports(said)) == 2
