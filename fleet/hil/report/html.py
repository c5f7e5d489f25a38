"""Elements of HTML and SVG as nested calls. What is not an element is text, and text is escaped."""

import html
import re
from collections.abc import Iterable
from typing import Any

# What terminals understand and pages do not: colours of a console log, and control characters that XML forbids.
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_EMPTY = frozenset({"meta", "link", "input", "br", "rect", "circle", "line", "path"})


class Safe(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: object) -> Safe:
    """Any value as text of a page."""
    return Safe(html.escape(_CONTROL.sub("\ufffd", _ANSI.sub("", str(value)))))


def join(children: Iterable[Any]) -> Safe:
    """Children one after the other: elements as they are, lists flattened, None left out, all else as text."""
    parts = []
    for child in children:
        if isinstance(child, Safe):
            parts.append(child)
        elif isinstance(child, (list, tuple)):
            parts.append(join(child))
        elif child is not None:
            parts.append(text(child))
    return Safe("".join(parts))


def el(element: str, /, *children: Any, **attributes: Any) -> Safe:
    """One element. `class_` is class, `data_text` is data-text; True is an attribute alone, None and False are none."""
    words = [element]
    for key, value in attributes.items():
        if value is not None and value is not False:
            key = key.rstrip("_").replace("_", "-")
            words.append(key if value is True else f'{key}="{text(value)}"')
    head = " ".join(words)
    return Safe(f"<{head}/>" if element in _EMPTY else f"<{head}>{join(children)}</{element}>")
