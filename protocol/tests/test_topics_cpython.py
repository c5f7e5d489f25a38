"""Node ids are exactly what the regular expression of SPEC 2.2 says, and every topic comes back."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from protocol import topics
from protocol.errors import DecodeError

NODE_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,31}", re.ASCII)
TOPIC = re.compile(
    r"lum/1/([a-z0-9][a-z0-9-]{2,31})/(?:(up)/(tele|event|state|log|reply|ota|block)|(down)/(cmd|config|ota|block))",
    re.ASCII,
)


@given(st.text(max_size=40) | st.from_regex(NODE_ID, fullmatch=True) | st.text("ab-Z_9", max_size=34))
@example("abc\n")
def test_node_ids_are_the_regular_expression(text: str) -> None:
    assert topics.is_node_id(text) is bool(NODE_ID.fullmatch(text))


@given(st.text(max_size=70) | st.from_regex(TOPIC, fullmatch=True) | st.text("lum1/ab+#", max_size=70))
def test_topics_are_the_regular_expression(text: str) -> None:
    match = TOPIC.fullmatch(text)
    try:
        found = topics.parse(text)
    except DecodeError:
        assert match is None
        return
    assert match is not None
    node, up, up_name, down, down_name = match.groups()
    assert found == (node, up or down, up_name or down_name)
    assert text == (topics.up if up else topics.down)(node, found[2])
