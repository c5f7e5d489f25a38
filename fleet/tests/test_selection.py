"""`fleet.selection`: what an expression selects, where a wrong one is wrong."""

from functools import cmp_to_key

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import UsageError
from fleet.selection import (
    EVERY,
    And,
    Attributes,
    Comparison,
    Not,
    Or,
    Selection,
    SelectionError,
    compare,
    comparisons,
    matches,
    parse,
)

NODE: Attributes = {
    "id": "air-9",
    "kind": "air",
    "site": "mitte",
    "version": "1.3.10",
    "room": "a b",
    "empty": "",
    "boot": 7,
    "online": True,
    "safe_mode": False,
}

SELECTED = {
    "a tag equals its value": "kind=air",
    "both hold": "kind=air and site=mitte",
    "the example of the help text": "kind=air and site=mitte and version<1.4",
    "one of two holds": "kind=light or site=mitte",
    "and binds closer than or": "kind=air or kind=light and site=nowhere",
    "parentheses come first": "(kind=light or kind=air) and site=mitte",
    "not binds to the next comparison": "not kind=light and kind=air",
    "not may repeat": "not not kind=air",
    "keywords in capitals": "kind=air AND NOT site=wedding",
    "spaces do not matter": "  kind =  air\tand site= mitte ",
    "no spaces at all": "(kind=air)and(site=mitte)",
    "a quoted value with a space": "room='a b'",
    "a quoted value in double quotes": 'room="a b"',
    "a quoted keyword is a value": "not site='and'",
    "one of several": "site in (wedding, mitte)",
    "one of several without parentheses": "site in wedding,mitte and kind=air",
    "none of several": "site not in wedding, moabit",
    "a pattern": "id~air-*",
    "a pattern with a set": "id~air-[0-9]",
    "a pattern over a number": "boot~?",
    "the whole text must fit a pattern": "not id~air",
    "a bare name that is there": "site",
    "a bare name that is true": "online",
    "a bare name that is false": "not safe_mode",
    "a bare name that is empty": "not empty",
    "a bare name that is not there": "not street",
    "true as a word": "online=true and safe_mode=false",
    "numbers as numbers": "boot<10 and boot>=7 and boot!=8 and boot=7",
    "a number with a fraction": "boot>6.5 and boot<7.5",
    "versions as versions": "version<1.4 and version>1.3.9 and version<=1.3.10",
    "versions with trailing zeros": "version=1.3.10.0",
    "a release is above its release candidate": "version>1.3.10-rc1",
    "build data does not count": "version=1.3.10+local",
    "ordered text counts its digits": "id<air-10 and id>air-8",
    "a missing attribute is different": "street!=main",
    "a missing attribute is in no order": "not street<main and not street>=main",
    "a number is not a word": "boot!=seven",
    "a word may hold what a topic holds": "not site=a/b:c-d.e_f@g",
}

REFUSED = {
    "nothing": ("", 0),
    "only spaces": ("   ", 0),
    "no operator": ("kind air", 5),
    "no value": ("kind=", 5),
    "no value before and": ("kind= and site=mitte", 6),
    "two operators": ("kind==air", 5),
    "nothing after and": ("kind=air and", 12),
    "nothing after or": ("kind=air or ", 11),
    "nothing after not": ("not", 3),
    "a missing and": ("kind=air site=mitte", 9),
    "an open parenthesis": ("(kind=air", 9),
    "an empty parenthesis": ("()", 1),
    "a closing parenthesis too many": ("kind=air)", 8),
    "an open quote": ("room='a b", 5),
    "a quoted name": ("'kind'=air", 0),
    "a number as a name": ("7=boot", 0),
    "a keyword as a name": ("in=5", 0),
    "not without in": ("site not mitte", 9),
    "in without a value": ("site in", 7),
    "a list that ends in a comma": ("site in (a,)", 11),
    "a list that is not closed": ("site in (a and b", 11),
    "an operator alone": ("~", 0),
    "too deep": ("(" * 51 + "a" + ")" * 51, 50),
    "too long": ("a" * 2001, 2000),
}


@pytest.mark.parametrize("text", SELECTED.values(), ids=SELECTED.keys())
def test_selects(text: str) -> None:
    assert matches(parse(text), NODE)


def test_no_expression_selects_every_node() -> None:
    assert matches(EVERY, NODE)
    assert matches(EVERY, {})


@pytest.mark.parametrize(("text", "at"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses_and_points(text: str, at: int) -> None:
    with pytest.raises(SelectionError) as caught:
        parse(text)
    assert caught.value.at == at
    assert isinstance(caught.value, UsageError)
    shown, pointer = caught.value.cause.split("\n")
    assert pointer.strip() == "^"
    assert shown[len(pointer) - 1 :] == text[at : at + 72 - (len(pointer) - 1)]


def test_the_names_of_an_expression_and_where_they_stand() -> None:
    found = comparisons(parse("kind=air and not (site in a,b or online)"))
    assert [(comparison.name, comparison.at) for comparison in found] == [("kind", 0), ("site", 18), ("online", 33)]


NAMES = st.sampled_from(["id", "kind", "site", "version", "boot", "online", "nothing"])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
VERSIONS = st.from_regex(r"v?[0-9]{1,2}(\.[0-9]{1,2}){0,3}(-(rc|a)\.?[0-9]{1,2})?", fullmatch=True)
DOTTED = VERSIONS.filter(lambda text: "." in text.partition("-")[0])
COMPARISONS = st.one_of(
    st.builds(Comparison, NAMES, st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~"]), st.tuples(TEXTS | VERSIONS)),
    st.builds(Comparison, NAMES, st.just("in"), st.lists(TEXTS, min_size=1, max_size=3).map(tuple)),
    st.builds(Comparison, NAMES, st.just(""), st.just(())),
)
SELECTIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(NAMES, TEXTS | VERSIONS | st.integers() | st.booleans() | st.none())


def written(selection: Selection) -> str:
    """The selection as text, with every group in parentheses and every value in quotes."""
    match selection:
        case Not(part):
            return f"not ({written(part)})"
        case And(parts):
            return " and ".join(f"({written(part)})" for part in parts)
        case Or(parts):
            return " or ".join(f"({written(part)})" for part in parts)
        case Comparison(name, op, values):
            quoted = ["'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" for value in values]
            return f"{name} {op} {','.join(quoted)}"
    raise AssertionError(selection)


@given(SELECTIONS, ATTRIBUTES)
def test_text_means_what_its_tree_means(selection: Selection, attributes: Attributes) -> None:
    assert matches(parse(written(selection)), attributes) == matches(selection, attributes)


@given(SELECTIONS, SELECTIONS, ATTRIBUTES)
def test_de_morgan(left: Selection, right: Selection, attributes: Attributes) -> None:
    both = f"not (({written(left)}) and ({written(right)}))"
    either = f"not ({written(left)}) or not ({written(right)})"
    assert matches(parse(both), attributes) == matches(parse(either), attributes)


@given(st.text(max_size=60) | st.text(" ()'\",=<>!~\\andortinkse.1", max_size=40))
def test_any_text_parses_or_is_refused_within_itself(text: str) -> None:
    try:
        parse(text)
    except SelectionError as error:
        assert 0 <= error.at <= len(text)  # noqa: PT017 - both outcomes are allowed


@given(TEXTS | VERSIONS, TEXTS | VERSIONS)
def test_texts_are_in_one_order(left: str, right: str) -> None:
    order = compare(left, right)
    assert order is not None
    assert compare(right, left) == -order
    assert order != 0 or left == right or "." in left + right


def in_order(left: str, right: str) -> int:
    order = compare(left, right)
    assert order is not None
    return order


@given(DOTTED, DOTTED, DOTTED)
def test_versions_are_transitive(one: str, two: str, three: str) -> None:
    low, middle, high = sorted((one, two, three), key=cmp_to_key(in_order))
    assert compare(low, high) in (-1, 0)
    assert (compare(low, high) == 0) == (compare(low, middle) == 0 == compare(middle, high))


@given(st.integers(), st.integers())
def test_numbers_are_in_their_order(left: int, right: int) -> None:
    assert compare(left, str(right)) == (left > right) - (left < right)
