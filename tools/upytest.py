"""Run plain tests under MicroPython: `micropython tools/upytest.py [FILE_OR_FOLDER ...]`.

Calls every `test_*` function of every `test_*.py` in source order; files named `test_*_cpython.py` are for pytest
only. Prints a line per file and "N passed, M failed" last; exits with 1 when anything failed. Paths are relative to
the root of the repository, which is the current folder; without arguments it runs FOLDERS. Under CPython
(`python -m tools.upytest`) it finds MicroPython and starts itself there.
"""

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS = ("protocol", "firmware", "tools/sim", "tools/powercut", "tools/virtual_board/device")
_DIRECTORY = 0x4000  # st_mode of a directory


def find(path: str) -> "Iterator[str]":
    """Paths of the test files at or below `path`, in order of name."""
    if not os.stat(path)[0] & _DIRECTORY:
        yield path
        return
    for name in sorted(os.listdir(path)):
        below = path + "/" + name
        if os.stat(below)[0] & _DIRECTORY:
            if name[0] not in "._":
                yield from find(below)
        elif name.startswith("test_") and name.endswith(".py") and not name.endswith("_cpython.py"):
            yield below


def names(path: str) -> "list[str]":
    """The test functions of a file as they stand in it: MicroPython's module dict has no order."""
    with open(path) as file:
        return [line[4 : line.index("(")] for line in file if line.startswith("def test_")]


def run(path: str, root: str) -> "tuple[int, int]":
    """(passed, failed) of one file; a file that cannot be imported, or holds no test, is one failure."""
    inside = path[len(root) + 1 :] if path.startswith(root + "/") else path
    module = inside[:-3].replace("/", ".")
    passed = failed = 0
    try:
        __import__(module)
        for name in names(path):
            try:
                getattr(sys.modules[module], name)()
                passed += 1
            except Exception as error:
                failed += 1
                report(path + "::" + name, error)
        if not passed and not failed:
            raise ValueError("no test_* function in this file")
    except Exception as error:
        failed += 1
        report(path, error)
    return passed, failed


def report(where: str, error: Exception) -> None:
    """Print a failure with its traceback."""
    print("FAILED", where)
    sys.print_exception(error)  # type: ignore[attr-defined]


def main(paths: "list[str]") -> int:
    """Run the tests of `paths` and return the exit code."""
    here = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
    root = "." if here == "tools" else here[: -len("/tools")] if here.endswith("/tools") else here + "/.."
    sys.path[0:1] = [root, root + "/firmware"]
    passed = failed = 0
    folders = [root + "/" + folder for folder in FOLDERS]
    for start in paths or [folder for folder in folders if exists(folder)]:
        for path in find(start[:-1] if start.endswith("/") else start):
            good, bad = run(path, root)
            print(f"{good:4} passed {bad:4} failed  {path}")
            passed += good
            failed += bad
            gc.collect()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def exists(path: str) -> bool:
    """True when there is something at `path`."""
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def on_micropython(paths: "list[str]") -> int:
    """What CPython does: run this file under MicroPython, from the root."""
    import subprocess

    from tools.interpreter import ROOT, micropython

    command = [micropython(), "tools/upytest.py"]
    command.extend(paths)  # `[*paths]` is a syntax error on MicroPython
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit((main if sys.implementation.name == "micropython" else on_micropython)(sys.argv[1:]))
