"""The report line of a board, written and read; on both interpreters."""

import json

from protocol import console, report

NONE = {"node": "", "fw": "", "manifest": "", "slot": "", "boot": 0, "kind": "", "board": "", "mac": "", "cause": 0}
NODE = {"node": "air-1", "fw": "0.1.0", "manifest": "ab" * 32, "slot": "a", "boot": 4294967295, "kind": "air"}
NODE.update({"board": "esp32_air", "mac": "240ac4000001", "cause": 1, "waiting": 1440})

OTHER_LINES = {
    "nothing": "",
    "a line of the log": "12.345 I app: air-1 0.1.0 boot 7 slot a",
    "the prompt of the interpreter": ">>> ",
    "the mark alone": "@lumenair ",
    "no JSON": "@lumenair {node}",
    "half a line": '@lumenair {"node":"air-1","fw":"0.1',
    "more than an object": '@lumenair {"state":"node"} x',
    "no object": '@lumenair ["state","node"]',
    "no state": '@lumenair {"node":"air-1"}',
    "a state that does not exist": '@lumenair {"state":"asleep"}',
    "text for a number": '@lumenair {"state":"node","boot":"7"}',
    "a truth value for a number": '@lumenair {"state":"node","boot":true}',
    "a float": '@lumenair {"state":"node","boot":7.0}',
    "a number that is too large": '@lumenair {"state":"node","boot":4294967296}',
    "a negative number": '@lumenair {"state":"node","waiting":-1}',
    "null": '@lumenair {"state":"node","fw":null}',
    "a text that is too long": '@lumenair {"state":"node","mac":"240ac40000010"}',
    "half a MAC address": '@lumenair {"state":"node","mac":"240ac4"}',
    "a MAC address in another form": '@lumenair {"state":"node","mac":"24:0a:c4:00:"}',
    "a digest that is none": '@lumenair {"state":"node","manifest":"' + "x" * 64 + '"}',
    "an order to a terminal": '@lumenair {"state":"node","node":"\\u001b[2J"}',
    "a letter beyond ASCII": '@lumenair {"state":"node","node":"\\u00fc"}',
    "a line without end": '@lumenair {"state":"node"' + " " * 512 + "}",
    "brackets without end": "@lumenair " + "[" * 490,
}


def test_a_report_is_read_as_it_was_written() -> None:
    for state in console.STATES:
        found = console.parse(report.report(state, **NODE))
        assert found == dict(NODE, state=state), found


def test_what_is_left_out_is_empty() -> None:
    assert console.parse(report.report("unprovisioned")) == dict(NONE, state="unprovisioned", waiting=0)


def test_a_report_is_one_line_of_ascii_within_its_bound() -> None:
    longest = {}
    for name, kind, most in console.FIELDS:
        longest[name] = most if kind is int else "x" * most
    longest["state"] = "unprovisioned"
    line = report.report(**longest)
    assert line.startswith("@lumenair {")
    assert len(line) <= console.MAX_LINE
    assert all(" " <= char <= "~" for char in line)


def test_a_report_has_the_form_of_the_contract() -> None:
    line = '@lumenair {"node":"air-1","fw":"0.1.0","state":"node","boot":12,"later":[1,{"a":null}]}\r\n'
    found = console.parse(line)
    assert found is not None
    assert (found["node"], found["boot"], found["waiting"]) == ("air-1", 12, 0)
    assert "later" not in found
    assert sorted(found) == sorted([name for name, _, _ in console.FIELDS])


def test_any_other_line_is_none() -> None:
    for what, line in OTHER_LINES.items():
        assert console.parse(line) is None, what


def test_what_a_node_writes_is_json() -> None:
    assert json.loads(report.report("node", boot=1)[len(report.PREFIX) :]) == {"state": "node", "boot": 1}
