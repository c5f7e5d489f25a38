"""Topic names: what is built, what is parsed, what is refused."""

from protocol import topics
from protocol.errors import DecodeError, EncodeError
from protocol.tests.expect import raises

NODE_IDS = {
    "the shortest id": ("abc", True),
    "the longest id": ("a" * 32, True),
    "digits and dashes": ("0-9-z", True),
    "a dash at the end": ("ab-", True),
    "an empty id": ("", False),
    "an id of two letters": ("ab", False),
    "an id of 33 letters": ("a" * 33, False),
    "a dash in front": ("-abc", False),
    "a capital letter": ("Abc", False),
    "an underscore": ("a_c", False),
    "a dot": ("a.c", False),
    "a plus, which MQTT would expand": ("a+c", False),
    "a space": ("a c", False),
    "a newline at the end": ("abc\n", False),
    "a letter outside ASCII": ("ab\u00fc", False),
    "a digit outside ASCII": ("ab\u0663", False),
}

NOT_TOPICS = {
    "nothing": "",
    "another product": "sun/1/abc/up/tele",
    "another version": "lum/2/abc/up/tele",
    "a name too few": "lum/1/abc/up",
    "a name too many": "lum/1/abc/up/tele/x",
    "a leading slash": "/lum/1/abc/up/tele",
    "a bad node": "lum/1/ABC/up/tele",
    "a name of all nodes for one": "lum/1/abc/down/epoch",
    "the topic of all nodes": "lum/1/_/down/epoch",
    "an unknown direction": "lum/1/abc/over/tele",
    "an unknown name": "lum/1/abc/up/telemetry",
    "a name of the other direction": "lum/1/abc/down/tele",
    "a command going up": "lum/1/abc/up/cmd",
    "a wildcard": "lum/1/+/up/tele",
    "an empty name": "lum/1/abc/up/",
    "a very long topic": "lum/1/abc/up/" + "t" * 1000,
}


def test_node_ids() -> None:
    for what, (text, good) in NODE_IDS.items():
        assert topics.is_node_id(text) is good, what


def test_every_topic_is_parsed_to_what_it_was_built_from() -> None:
    for name in topics.UP:
        assert topics.parse(topics.up("air-1", name)) == ("air-1", "up", name)
    for name in topics.DOWN:
        assert topics.parse(topics.down("air-1", name)) == ("air-1", "down", name)


def test_the_longest_topic_is_within_the_bound() -> None:
    longest = max(len(topics.up("a" * 32, name)) for name in topics.UP)
    longest = max(longest, max(len(topics.down("a" * 32, name)) for name in topics.DOWN))
    assert longest <= topics.MAX_TOPIC


def test_no_node_has_the_topic_of_all_nodes() -> None:
    assert raises(DecodeError, topics.parse, topics.EPOCH)
    assert len(topics.EPOCH) <= topics.MAX_TOPIC


def test_other_topics_are_refused() -> None:
    for what, topic in NOT_TOPICS.items():
        assert raises(DecodeError, topics.parse, topic), what


def test_names_that_do_not_exist_are_not_built() -> None:
    raises(EncodeError, topics.up, "abc", "cmd")
    raises(EncodeError, topics.down, "abc", "tele")
    raises(EncodeError, topics.up, "+", "tele")


def test_quality_of_service_is_fixed_per_name() -> None:
    assert [name for name in topics.UP if topics.qos(name) == 0] == ["log", "block"]
    assert [name for name in topics.DOWN if topics.qos(name) == 0] == ["block"]
