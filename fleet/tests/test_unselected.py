"""Why a selection leaves a node out."""

import pytest

from fleet.rollout.unselected import failing
from fleet.selection import parse

NODE = {"kind": "air", "site": "wedding", "version": "1.3.10", "online": True, "slot": None}
CASES = {
    "kind=air": [],
    "kind=light": ["kind is air, and light is wanted"],
    "kind=air and site=mitte": ["site is wedding, and mitte is wanted"],
    "site=mitte and version>=1.4": ["site is wedding, and mitte is wanted", "version is 1.3.10, and >= 1.4 is wanted"],
    "site in mitte,moabit": ["site is wedding, and one of mitte, moabit is wanted"],
    "site=mitte or district=nord": ["site is wedding, and mitte is wanted, or it has no district, and nord is wanted"],
    "not online": ["it fits what is not wanted: online"],
    "not (site=wedding and kind=air)": ["it fits what is not wanted: site = wedding; kind = air"],
    "district": ["it has no district"],
    "kind!=air": ["kind is air, and anything but air is wanted"],
    "site~m*": ["site is wedding, and m* is wanted"],
}


@pytest.mark.parametrize("where", CASES)
def test_each_part_that_fails_is_named(where: str) -> None:
    assert failing(parse(where), NODE) == CASES[where]
