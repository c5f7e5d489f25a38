"""Makes a program small before it is compiled: what only people and type checkers read does not reach a node.

    if TYPE_CHECKING: ...              is gone
    LIMIT = 1 << 4                     is gone, too, where nobody can reach it but by its name ...
    from protocol.limits import LIMIT  ... and so is this:
    if size > LIMIT:                   reads `if size > 16:`

A name costs a node 30 to 60 bytes of memory wherever it is bound, and the compiler of MicroPython knows the numbers of
one module only (`const`). That is 20 KB of flash and as much of the heap. What is left behaves as it did before: only
numbers that are bound once are replaced, and only in modules whose names nobody asks for at run time.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

_SMALL = range(-(1 << 30), 1 << 30)  # what takes no memory of its own on a board of 32 bits
_OPERATORS = (ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
_HIDDEN = "TYPE_CHECKING"


def shrunk(sources: Mapping[str, str]) -> dict[str, str]:
    """{path: text} of the modules of one program, made small; SyntaxError for what is no module.

    Paths are relative to where imports begin: "node/core/clock.py" is node.core.clock.
    """
    modules = {_dotted(path): _Module(path, text) for path, text in sources.items()}
    program = _Program(modules)
    return {module.path: program.text(name) for name, module in modules.items()}


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class _Module:
    """One module: `tree` without what is for type checkers."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        try:
            self.tree: ast.Module = _Hidden().visit(ast.parse(text))
        except SyntaxError as error:
            error.filename = path
            raise
        self.nodes = list(ast.walk(self.tree))
        self.bound = Counter(_bound(self.nodes))
        self.imports = [
            (node.module, alias)
            for node in self.nodes
            if isinstance(node, ast.ImportFrom) and node.module and not node.level
            for alias in node.names
        ]

    def assigned(self) -> Iterator[tuple[str, ast.Assign]]:
        """(name, statement) of each name that the module binds to one value, once."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name.isupper() and self.bound[name] == 1:
                    yield name, node


class _Program:
    """All modules, which know each other."""

    def __init__(self, modules: Mapping[str, _Module]) -> None:
        self._modules = modules
        self._numbers: dict[str, dict[str, int]] = {}

    def text(self, name: str) -> str:
        """The source of a module, made small."""
        module = self._modules[name]
        numbers, aliases = self.numbers(name), self._aliases[name]
        tree = _Inlined(numbers, {alias: self.numbers(target) for alias, target in aliases.items()}).visit(module.tree)
        gone = {one for one, _ in module.assigned() if one in numbers and (one[0] == "_" or name in self._closed)}
        gone |= {alias.asname or alias.name for _, alias in module.imports} & numbers.keys()
        gone |= aliases.keys() - {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        return ast.unparse(ast.fix_missing_locations(_Without(gone).visit(tree)))

    def numbers(self, name: str) -> dict[str, int]:
        """{name: number} of what a module binds to a small number, itself or by an import."""
        if name not in self._modules:
            return {}
        if name not in self._numbers:
            found = self._numbers[name] = {}
            module = self._modules[name]
            for source, alias in module.imports:
                called = alias.asname or alias.name
                if alias.name in self.numbers(source) and module.bound[called] == 1:
                    found[called] = self.numbers(source)[alias.name]
            for called, node in module.assigned():
                value = _value(node.value, found)
                if value is not None:
                    found[called] = value
        return self._numbers[name]

    @cached_property
    def _closed(self) -> set[str]:
        """Modules that others import by `from`, and use in no other way than by the names of what is in them."""
        reached, asked = set(), set()
        for name, module in self._modules.items():
            aliases = self._aliases[name]
            reached |= {source for source, _ in module.imports} | set(aliases.values())
            asked |= {alias.name for node in module.nodes if isinstance(node, ast.Import) for alias in node.names}
            asked |= {aliases[alias] for alias in _loose(module.nodes, aliases)}
        return reached - asked

    @cached_property
    def _aliases(self) -> dict[str, dict[str, str]]:
        """For each module {its name for it: module} of those that it imports from their package."""
        found: dict[str, dict[str, str]] = {}
        for name, module in self._modules.items():
            rows = [(alias.asname or alias.name, f"{source}.{alias.name}") for source, alias in module.imports]
            found[name] = {
                called: target for called, target in rows if target in self._modules and module.bound[called] == 1
            }
        return found


def _value(node: ast.expr, known: Mapping[str, int]) -> int | None:
    """The small number that an expression of numbers stands for."""
    for part in ast.walk(node):
        plain = isinstance(part, (*_OPERATORS, ast.Load)) or (isinstance(part, ast.Name) and part.id in known)
        if not plain and not (isinstance(part, ast.Constant) and type(part.value) is int):
            return None
    try:
        value = eval(compile(ast.Expression(node), "", "eval"), dict(known))  # noqa: S307 - numbers and operators only
    except ArithmeticError:
        return None
    return value if type(value) is int and value in _SMALL else None


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Every name each time that something is bound to it."""
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name


def _loose(nodes: Iterable[ast.AST], aliases: Iterable[str]) -> set[str]:
    """Names of modules that are used otherwise than as `name.attribute`."""
    loose = Counter(node.id for node in nodes if isinstance(node, ast.Name))
    loose.subtract(
        node.value.id for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    )
    return {alias for alias in aliases if loose[alias] > 0}


class _Hidden(ast.NodeTransformer):
    """Takes out what is for type checkers."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt] | None:
        self.generic_visit(node)
        if isinstance(node.test, ast.Name) and node.test.id == _HIDDEN:
            return node.orelse
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return None if isinstance(node.targets[0], ast.Name) and node.targets[0].id == _HIDDEN else node


class _Inlined(ast.NodeTransformer):
    """Puts numbers in the place of their names, and of the names that modules have for them."""

    def __init__(self, numbers: Mapping[str, int], modules: Mapping[str, Mapping[str, int]]) -> None:
        self._numbers = numbers
        self._modules = modules

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id in self._numbers:
            return ast.Constant(self._numbers[node.id])
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        numbers = self._modules.get(node.value.id, {}) if isinstance(node.value, ast.Name) else {}
        if isinstance(node.ctx, ast.Load) and node.attr in numbers:
            return ast.Constant(numbers[node.attr])
        return self.generic_visit(node)


class _Without(ast.NodeTransformer):
    """Takes out the statements that bind those names."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return None if isinstance(node.targets[0], ast.Name) and node.targets[0].id in self._names else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        node.names = [alias for alias in node.names if (alias.asname or alias.name) not in self._names]
        return node if node.names else None

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.stmt) and getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node
