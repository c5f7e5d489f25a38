"""The house limits that ruff cannot express: `python -m tools.limits` names every breach and exits 1.

- a file has at most 400 lines, a function at most 40;
- device code (protocol/ and firmware/) holds no float: ESP32 floats have 32 bits, which is 64 s at today's epoch;
- no file names a package registry or an absolute path of somebody's machine.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 40
FLOAT_NAMES = {"float", "round", "complex"}  # built-ins whose result is or may be a float
FLOAT_MODULES = {"math", "cmath", "json", "decimal", "statistics"}  # modules that return floats
FLOAT_CALLS = {("time", "time"), ("random", "random"), ("random", "uniform"), ("time", "mktime")}
FLOAT_FORMATS = re.compile(r"^[@=<>!]?[0-9xcbBhHiIlLqQnNsSpP?O ]*[efd]")
HOST_SIDE = {"protocol/registry.py", "protocol/console.py"}  # of the contract, but never on a node
FOREIGN = re.compile(r"pypi\.org|pythonhosted|npmjs\.(org|com)|deb\.debian\.org|/home/\w+|/Users/\w+|/root/\w+")

Finding = tuple[Path, int, str]


def files(root: Path) -> list[Path]:
    """Files of the checkout that git tracks or would track, relative to `root`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    return [Path(name) for name in sorted(set(names)) if (root / name).is_file()]


def is_device(path: Path) -> bool:
    """True for code that runs on a node."""
    device = path.parts[0] in ("protocol", "firmware") and "tests" not in path.parts
    return device and path.as_posix() not in HOST_SIDE


def sizes(path: Path, source: str, tree: ast.AST) -> Iterator[Finding]:
    """Files and functions that are too long."""
    lines = source.count("\n")
    if lines > FILE_LINES:
        yield path, lines, f"file of {lines} lines, at most {FILE_LINES}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield path, node.lineno, f"{node.name}() of {length} lines, at most {FUNCTION_LINES}"


def floats(path: Path, tree: ast.AST) -> Iterator[Finding]:
    """Places of device code at which a float can come into being."""
    for node in ast.walk(tree):
        reason = float_reason(node)
        if reason:
            yield path, getattr(node, "lineno", 0), f"float in device code: {reason}"


def float_reason(node: ast.AST) -> str | None:
    """Why this node can make a float, or None."""
    match node:
        case ast.Constant(value=float() | complex()):
            return "literal"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "true division"
        case ast.Name(id=name) if name in FLOAT_NAMES:
            return name
        case ast.Import(names=names) if any(alias.name in FLOAT_MODULES for alias in names):
            return "import of a module that returns floats"
        case ast.ImportFrom(module="json", names=[ast.alias(name="dumps")]):
            return None  # it writes what it is given
        case ast.ImportFrom(module=module) if module in FLOAT_MODULES:
            return "import of a module that returns floats"
        case ast.Attribute(value=ast.Name(id=module), attr=attr) if (module, attr) in FLOAT_CALLS:
            return f"{module}.{attr}"
        case ast.Call(func=ast.Attribute(attr="pack" | "unpack" | "pack_into" | "unpack_from"), args=[first, *_]):
            if isinstance(first, ast.Constant) and FLOAT_FORMATS.match(str(first.value)):
                return "struct format"
    return None


def foreign(path: Path, source: str) -> Iterator[Finding]:
    """Hosts of registries and paths of machines."""
    if path.name == Path(__file__).name:
        return  # the patterns themselves
    for number, line in enumerate(source.splitlines(), 1):
        if FOREIGN.search(line):
            yield path, number, "names a registry or a path of one machine"


def check(root: Path) -> list[Finding]:
    """Every breach in the checkout at `root`."""
    found: list[Finding] = []
    for path in files(root):
        try:
            source = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found.extend(foreign(path, source))
        if path.suffix == ".py":
            tree = ast.parse(source)
            found.extend(sizes(path, source, tree))
            if is_device(path):
                found.extend(floats(path, tree))
    return found


def main() -> int:
    """Print the breaches; 0 when there are none."""
    found = check(Path(__file__).resolve().parent.parent)
    for path, line, text in found:
        print(f"{path}:{line}: {text}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
