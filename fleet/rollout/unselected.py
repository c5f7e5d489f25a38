"""Which part of a selection a node fails, in words: `site is wedding, and mitte is wanted`."""

from fleet.selection import And, Attributes, Comparison, Not, Or, Selection, Value, comparisons, matches

_WORDS = {"=": "{} is wanted", "!=": "anything but {} is wanted", "~": "{} is wanted", "in": "one of {} is wanted"}


def failing(selection: Selection, attributes: Attributes) -> list[str]:
    """What keeps a node with these attributes out, in the order of the expression; nothing when it is selected."""
    if matches(selection, attributes):
        return []
    match selection:
        case And(parts):
            return [words for part in parts for words in failing(part, attributes)]
        case Or(parts):
            return [", or ".join(" and ".join(failing(part, attributes)) for part in parts)]
        case Not(part):
            return [f"it fits what is not wanted: {_written(part)}"]
        case Comparison():
            return [_comparison(selection, attributes.get(selection.name))]


def _comparison(one: Comparison, found: Value) -> str:
    has = f"it has no {one.name}" if found is None else f"{one.name} is {_plain(found)}"
    if not one.op:
        return has
    wanted = ", ".join(one.values)
    return f"{has}, and {_WORDS.get(one.op, one.op + ' {} is wanted').format(wanted)}"


def _written(selection: Selection) -> str:
    """The comparisons of an expression, as a person typed them."""
    parts = (f"{one.name} {one.op} {', '.join(one.values)}".strip() for one in comparisons(selection))
    return "; ".join(parts)


def _plain(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
