"""Pin maps against what the chips can do, and the list of what ships against the tree."""

import ast
import importlib
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parent.parent
BOARDS = sorted(path.stem for path in (FIRMWARE / "boards").glob("*.py") if path.stem != "__init__")

# Pins by chip (ESP32 data sheet 4.9 table 2-1 and 2-3, ESP32-S3 data sheet 2.2 table 2-1 and 3.3)
EXISTS = {"esp32": {*range(24), *range(25, 28), *range(32, 40)}, "esp32s3": {*range(22), *range(26, 49)}}
STRAPPING = {"esp32": {0, 2, 5, 12, 15}, "esp32s3": {0, 3, 45, 46}}
INPUT_ONLY = {"esp32": {34, 35, 36, 37, 38, 39}, "esp32s3": set()}
FLASH = {"esp32": set(range(6, 12)), "esp32s3": set(range(26, 38))}  # octal PSRAM takes 33 to 37
CONSOLE = {"esp32": {1, 3}, "esp32s3": {19, 20, 43, 44}}  # UART 0, USB
BUSES = {"esp32": {"i2c": 2, "uart": 3}, "esp32s3": {"i2c": 2, "uart": 3}}


def outputs(board):
    found = [pin for _, scl, sda, _ in board.I2C.values() for pin in (scl, sda)]
    return found + [tx for _, tx, _ in board.UART.values()] + [pin for pin, _ in board.PWM.values()]


@pytest.mark.parametrize("name", BOARDS)
def test_every_pin_can_do_what_it_is_there_for(name):
    board = importlib.import_module(f"boards.{name}")
    chip = board.CHIP
    pins = outputs(board) + [rx for _, _, rx in board.UART.values()]
    assert len(pins) == len(set(pins)), "a pin is used twice"
    assert set(pins) <= EXISTS[chip]
    assert not set(pins) & (STRAPPING[chip] | FLASH[chip] | CONSOLE[chip])
    assert not set(outputs(board)) & INPUT_ONLY[chip]
    assert {row[0] for row in board.I2C.values()} <= set(range(BUSES[chip]["i2c"]))
    assert {row[0] for row in board.UART.values()} <= set(range(1, BUSES[chip]["uart"])), "UART 0 is the console"


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_has_what_its_product_asks_for(name):
    board = importlib.import_module(f"boards.{name}")
    if name.endswith("_air"):
        assert board.I2C["sensors"][3] <= 100_000, "the SEN66 is a part for 100 kHz"
    else:
        assert name.endswith("_light")
        assert "lamp" in board.PWM
        assert "meter" in board.UART


STAYS = {
    "node/board/door.py": "types only",
    "node/core/files.py": "types only",
    "node/core/update/base.py": "types only",
    "node/core/update/parts.py": "types only",
    "protocol/console.py": "reads what a node writes",
    "protocol/refusal_texts.py": "for people; a node sends codes",
    "protocol/registry.py": "for people and exports; a node knows the ids",
}


class Options:
    """The word `options` of a manifest."""

    def __init__(self, **given):
        self.given = given

    def defaults(self, **values):
        self.values = {**values, **self.given}

    def __getattr__(self, name):
        return self.values[name]


def listed(**options):
    found = set()

    def package(name, files, base_path="."):
        for file in files:
            assert (FIRMWARE / base_path / name / file).is_file(), file
            found.add(f"{name}/{file}")

    exec((FIRMWARE / "manifest.py").read_text(), {"package": package, "options": Options(**options)})
    return found


def test_everything_ships_that_is_not_named_here():
    tree = set()
    for top in (FIRMWARE / "node", FIRMWARE / "boards", FIRMWARE.parent / "protocol"):
        found = {path.relative_to(top.parent) for path in top.rglob("*.py")}
        tree |= {path.as_posix() for path in found if "tests" not in path.parts}
    assert listed() == tree - set(STAYS), "list the new file in firmware/manifest.py"


PRODUCTS = ("air", "light")


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_product_has_nothing_of_the_other_and_nothing_that_claims(product):
    (other,) = set(PRODUCTS) - {product}
    found = listed(product=product, claim=False)
    assert not [path for path in found if other in path or "claim" in path]
    both = set.union(*(listed(product=one, claim=False) for one in PRODUCTS))
    assert both == listed(claim=False)
    assert listed() - both == {"protocol/claim.py", "node/tasks/claim.py"}


@pytest.mark.parametrize("product", PRODUCTS)
def test_what_a_product_imports_it_has(product):
    have = listed(product=product, claim=False)
    for path in have:
        top = FIRMWARE.parent if path.startswith("protocol/") else FIRMWARE
        tree = ast.parse((top / path).read_text())
        for name in imported(tree):
            inside = name.replace(".", "/")
            if name.split(".")[0] in ("node", "protocol", "boards") and "claim" not in name:
                assert {f"{inside}.py", f"{inside}/__init__.py"} & have, f"{path} imports {name}"


def imported(tree):
    """The modules that run time imports: not those for the type checker."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            package = (FIRMWARE / node.module.replace(".", "/")).is_dir() or node.module == "protocol"
            yield from (f"{node.module}.{row.name}" for row in node.names if package and row.name.islower())
            yield node.module
