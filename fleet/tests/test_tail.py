"""What `fleet node tail` makes of messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.tail import lines
from protocol import channels, events
from protocol.messages import DONE, E_ARGUMENT, FAILED, Batch, Boot, Heartbeat, Log, Reply, State
from protocol.records import Event, Record, Sample
from protocol.refusals import U_HUNG
from protocol.topics import UP
from protocol.update import DOWNLOADING, REVERTED, Ask, Status

ID = bytes(range(8))
RECORD = Record(
    7, 1_800_000_000, 4, {channels.PM25: Sample(123, 3), channels.CO2: Sample(None, 9), channels.T_AMB: Sample(-5)}
)
BOOTED = Event(8, 90, 0, events.BOOT, attrs=Boot(firmware="1.4.0", cause=1).to_map())
TRIED = Event(10, 1_800_000_000, 4, events.UPDATE, 0, {1: 7, 2: 5, 3: 0, 4: "", 5: ID})
FAULT = Event(9, 1_800_000_000, 4, events.SENSOR_FAULT, 1, {1: "sen66", 2: "no answer"})

SAID = {
    "a record with its units and doubts": (
        "tele",
        Batch(boot=1, entries=[RECORD.encode()]),
        ["record: #7 pm25=12.3 µg/m³! co2=missing! t_amb=-0.05 °C"],
    ),
    "events with named attributes": (
        "event",
        Batch(boot=1, entries=[BOOTED.encode(), FAULT.encode()]),
        ["event: #8 boot firmware=1.4.0 cause=1", "event: #9 sensor_fault start sensor=sen66 text=no answer"],
    ),
    "an event with a digest, and with nothing to add": (
        "event",
        Batch(boot=1, entries=[TRIED.encode()]),
        ["event: #10 update counter=7 stage=5 code=0 manifest=0001020304050607"],
    ),
    "a state": (
        "state",
        State(online=True, boot=5, firmware="1.4.0", config_desired=3, config_applied=2, config_error=2,
              config_path="interval_s", heartbeat=Heartbeat(up_s=300)),
        ["state: online 1.4.0 boot 5 config 2/3 (an argument or value is wrong interval_s) up 300 s"],
    ),
    "a will": ("state", State(online=False), ["state: offline"]),
    "a log line after a gap": (
        "log",
        Log(level=4, tag="link", text="slow", dropped=2),
        ["log: warning link: slow (2 lines before it were not sent)"],
    ),
    "a reply": ("reply", Reply(id=ID, status=DONE, result={"level": 50}), ["reply: 0001020304050607 done level=50"]),
    "a refusal": (
        "reply",
        Reply(id=ID, status=FAILED, code=E_ARGUMENT, text="level"),
        ["reply: 0001020304050607 failed an argument or value is wrong level"],
    ),
    "an update on its way": (
        "ota",
        Status(counter=7, stage=DOWNLOADING, done=4096, total=9000),
        ["update: order 7 downloading 4096 of 9000 bytes"],
    ),
    "an update that ended": (
        "ota",
        Status(counter=7, stage=REVERTED, code=U_HUNG, text="task light"),
        ["update: order 7 reverted: the new program hung: the watchdog ended it: task light"],
    ),
    "a question for blocks": ("block", Ask(what=1), []),
}  # fmt: skip


@pytest.mark.parametrize(("name", "message", "texts"), SAID.values(), ids=SAID.keys())
def test_says(name: str, message: Batch, texts: list[str]) -> None:
    found = list(lines(f"lum/1/air-1/up/{name}", message.encode()))
    assert [f"{line.what}: {line.text}" for line in found] == texts
    assert {line.node for line in found} <= {"air-1"}


def test_times_are_those_of_the_node_when_it_knew_them() -> None:
    found = lines("lum/1/air-1/up/event", Batch(boot=1, entries=[BOOTED.encode(), FAULT.encode()]).encode())
    assert [line.t_s for line in found] == [None, 1_800_000_000]


@given(st.sampled_from(UP), st.binary(max_size=60))
def test_any_bytes_make_a_line_or_a_reason(name: str, payload: bytes) -> None:
    for line in lines(f"lum/1/air-1/up/{name}", payload):
        assert line.node == "air-1"
        assert line.text


def test_topics_of_others_are_nothing() -> None:
    assert list(lines("spam", b"")) == []
