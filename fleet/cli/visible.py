"""What may go to a terminal: texts of boards, nodes and other programs must not move its cursor or hide anything."""

import re

# Controls other than tab and newline, marks that change the direction of writing, and halves of characters, which
# cannot be written at all (Unicode 15, categories Cc, Zl, Zp and Cs; UAX #9 table 4).
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """`text` in which each such character is U+FFFD."""
    return _HIDDEN.sub("\ufffd", text)


def escaped(document: str) -> str:
    """A JSON document with such characters as JSON writes them: it means the same."""
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
