"""Says `const` where a module of the firmware means it, so that a node has neither the name in memory nor a look-up.

MicroPython's compiler puts the value of `_NAME = const(1 << 4)` in the place of the name (docs.micropython.org,
"Speed: const"). Our sources run on CPython as well, where there is no such word; what it may stand for is plain: a
number with a name that begins with an underscore and is bound once. That is 2 KB of flash and as much of memory.
"""

import ast
from collections import Counter
from collections.abc import Iterator

_EXPRESSION = (ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Load)


def marked(source: str) -> str:
    """The module with its private numbers as constants; SyntaxError for what is no module."""
    lines = source.encode().splitlines(keepends=True)
    for value in reversed(list(_numbers(ast.parse(source)))):
        _insert(lines, value.end_lineno, value.end_col_offset, b")")
        _insert(lines, value.lineno, value.col_offset, b"const(")
    return b"".join(lines).decode()


def _numbers(module: ast.Module) -> Iterator[ast.expr]:
    """The values of private names that are numbers, as far as the compiler can work them out."""
    bound = Counter(_bound(module))
    known: set[str] = set()
    for node in module.body:
        if not isinstance(node, ast.Assign) or len(node.targets) > 1 or not isinstance(node.targets[0], ast.Name):
            continue
        name = node.targets[0].id
        if name.startswith("_") and bound[name] == 1 and all(_is_plain(part, known) for part in ast.walk(node.value)):
            known.add(name)
            yield node.value


def _bound(module: ast.Module) -> Iterator[str]:
    """Every name each time that something is bound to it, parameters included."""
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def _is_plain(part: ast.AST, known: set[str]) -> bool:
    if isinstance(part, ast.Constant):
        return type(part.value) is int
    return isinstance(part, _EXPRESSION) or (isinstance(part, ast.Name) and part.id in known)


def _insert(lines: list[bytes], line: int | None, column: int | None, text: bytes) -> None:
    """Put `text` before the place that is named as `ast` does."""
    assert line is not None
    assert column is not None
    lines[line - 1] = lines[line - 1][:column] + text + lines[line - 1][column:]
