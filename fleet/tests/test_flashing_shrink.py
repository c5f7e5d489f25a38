"""What reaches a node of the sources: everything that it does, and no name that it does not need."""

import ast

import pytest

from fleet.flashing import firmware
from fleet.flashing.shrink import shrunk

LIMITS = "A = 5\n_B = A << 2\nBIG = 1 << 40\nNAME = 'x'\nlow = 1\n"

# the module, and what becomes of it beside limits.py
BECOMES: dict[str, tuple[str, str]] = {
    "a number of its own": ("_A = 5\nx = _A + 1\n", "x = 5 + 1"),
    "one that is computed": ("_A = 1 << 4\n_B = -_A\nx = _B\n", "x = -16"),
    "one of another module": ("from limits import A\nx = [A]\n", "x = [5]"),
    "one among others": ("from limits import A, NAME\nx = (A, NAME)\n", "from limits import NAME\nx = (5, NAME)"),
    "one under another name": ("from limits import A as C\nx = C\n", "x = 5"),
    "one of a module of a package": ("from package import more\nx = more.M\n", "x = 7"),
    "one beside what is no number": (
        "from package import more\nx = more.M, more.f()\n",
        "from package import more\nx = (7, more.f())",
    ),
    "what is for type checkers": ("TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import typing\nx = 1\n", "x = 1"),
    "what stands in its place": ("if TYPE_CHECKING:\n    a = 1\nelse:\n    a = 2\n", "a = 2"),
    "a body that is empty then": (
        "def f():\n    from limits import A\n\ndef g():\n    pass\n",
        "def f():\n    pass\n\ndef g():\n    pass",
    ),
    "a default and an attribute": (
        "from limits import A\n\nclass C:\n    a = A\n\n    def f(self, b=A):\n        pass\n",
        "class C:\n    a = 5\n\n    def f(self, b=5):\n        pass",
    ),
}
STAYS: dict[str, str] = {
    "a number that is bound twice": "_A = 5\n_A = 6",
    "one that a function sets": "_A = 5\n\ndef f():\n    global _A\n    _A = 6",
    "one that is a parameter as well": "_A = 5\n\ndef f(_A):\n    return _A",
    "one that would take memory anyway": "from limits import BIG\nx = BIG",
    "a text": "from limits import NAME\nx = NAME",
    "a truth": "_A = True\nx = _A",
    "a division by nothing": "_A = 1 // 0",
    "what has to be computed": "_A = len('abc')\nx = _A",
    "two names for one value": "_A = _B = 1\nx = _A",
    "a public number that nobody imports: it may be asked for by its name": "A = 1",
}


def one(text: str) -> dict[str, str]:
    others = {"limits.py": LIMITS, "package/__init__.py": "", "package/more.py": "M = 7\n\ndef f():\n    return M\n"}
    return shrunk({"it.py": text, **others})


@pytest.mark.parametrize("sentence", BECOMES)
def test_it_becomes_smaller(sentence: str) -> None:
    source, wanted = BECOMES[sentence]
    assert one(source)["it.py"] == wanted


@pytest.mark.parametrize("sentence", STAYS)
def test_it_stays_as_it_is(sentence: str) -> None:
    assert one(STAYS[sentence])["it.py"] == STAYS[sentence]


def test_a_number_goes_where_all_that_ask_for_it_have_it() -> None:
    found = one("from limits import A, BIG\nx = A\n")
    assert found["limits.py"] == "BIG = 1 << 40\nNAME = 'x'\nlow = 1"


@pytest.mark.parametrize(
    "use", ["import limits\nx = limits.A\n", "from package import more\nx = vars(more)\n"], ids=["import", "object"]
)
def test_a_number_stays_where_it_can_be_asked_for_otherwise(use: str) -> None:
    found = one(use + "from limits import A\nfrom package.more import M\ny = A, M\n")
    assert "A = 5" in found["limits.py"] if "import limits" in use else "M = 7" in found["package/more.py"]


def test_whatever_the_firmware_imports_is_still_there() -> None:
    files = firmware.sources(firmware.directory() / "manifest.py", claim=True)
    small = shrunk({name: path.read_text() for name, path in files.items()})
    trees = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): text for name, text in small.items()}
    bound = {name: set(names_of(ast.parse(text))) for name, text in trees.items()}
    for name, text in trees.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module in trees:
                for alias in node.names:
                    known = alias.name in bound[node.module] or f"{node.module}.{alias.name}" in trees
                    assert known, f"{name} imports {alias.name} of {node.module}"


def names_of(tree: ast.Module) -> list[str]:
    found = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    found += [
        node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    ]
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return found + [alias.asname or alias.name for node in imports for alias in node.names]


def test_a_mistake_names_its_file() -> None:
    with pytest.raises(SyntaxError) as caught:
        shrunk({"node/lamp.py": "x ==\n"})
    assert caught.value.filename == "node/lamp.py"


def test_modules_that_are_nothing_but_numbers_are_empty_on_a_node() -> None:
    files = firmware.sources(firmware.directory() / "manifest.py")
    small = shrunk({name: path.read_text() for name, path in files.items()})
    for name in ("protocol/channels.py", "protocol/events.py"):
        assert [type(node) for node in ast.parse(small[name]).body] == [ast.Expr], name
