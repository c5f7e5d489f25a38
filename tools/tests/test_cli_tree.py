"""The command tree: documented, with examples that parse, and fast to show."""

import json
import shlex
import subprocess
import sys

import click
import pytest

import fleet.cli
from fleet.cli.base import Command, Context, LazyGroup
from fleet.tests.cli_rig import run
from tools import cli_docs

TREE = {" ".join(path): command for path, command in cli_docs.commands()}
LEAVES = {path: command for path, command in TREE.items() if not isinstance(command, click.Group)}
HEAVY = ("sqlalchemy", "paho", "cryptography", "alembic", "rich", "cbor2", "yaml")


def test_the_reference_page_is_the_help_of_every_command() -> None:
    assert cli_docs.PAGE.read_text() == cli_docs.page(), "run `make gen`"


@pytest.mark.parametrize("path", TREE)
def test_every_command_and_option_says_what_it_is_for(path: str) -> None:
    command = TREE[path]
    assert f"### {path}\n" in cli_docs.PAGE.read_text()
    assert (command.help or "").split("\n")[0].endswith(".")
    for param in command.params:
        assert isinstance(param, click.Argument) or (isinstance(param, click.Option) and param.help), param.name
    assert all(
        len(line) <= 80
        for line in cli_docs.help_text(tuple(path.split()), command).splitlines()
        if "fleet " not in line
    )


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_has_examples_that_parse(path: str) -> None:
    command = LEAVES[path]
    assert isinstance(command, Command)
    assert command.examples
    for example in command.examples:
        words = shlex.split(example.removeprefix('eval "$(').removesuffix(')"').split(" > ")[0])
        assert " ".join(words).startswith(path), example
        with Context(command, info_name=path) as ctx:
            command.parse_args(ctx, words[len(path.split()) :])


def test_the_help_says_what_the_commands_say() -> None:
    root = fleet.cli.command
    assert isinstance(root, LazyGroup)
    for name, text in (pair for names in fleet.cli.SECTIONS.values() for pair in names.items()):
        assert (TREE[f"fleet {name}"].help or "").split("\n")[0] == text


@pytest.mark.parametrize("path", [path for path, command in TREE.items() if isinstance(command, click.Group)])
def test_no_line_of_a_list_of_commands_is_cut(path: str) -> None:
    assert "..." not in cli_docs.help_text(tuple(path.split()), TREE[path]).replace("[ARGS]...", "")


@pytest.mark.parametrize(
    "words", [["--help"], ["node", "--help"], ["node", "config", "set", "--help"], ["data", "--help"]]
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from fleet.cli import main; code = main(sys.argv[1:]);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout.startswith("Usage: fleet")


def test_the_help_of_the_root_imports_no_command() -> None:
    code = (
        "import sys; from fleet.cli import main; main(['--help']);"
        "print(sorted(name for name in sys.modules if name.startswith('fleet.')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    parts = ["fleet.cli", "fleet.cli.base", "fleet.cli.edge", "fleet.cli.visible", "fleet.errors"]
    assert done.stderr.strip() == str(parts)


def test_no_command_at_all_shows_the_help_and_is_a_usage_error() -> None:
    found = run()
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("Usage: fleet")


def test_a_wrong_name_is_answered_with_the_right_one() -> None:
    assert "Did you mean 'node'?" in run("nod").err
    assert "'list'" in run("node", "lst").err
    assert "Did you mean" in run("node", "list", "--wher", "x").err


def test_the_version() -> None:
    assert run("--version").out == f"fleet {fleet.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    assert "_FLEET_COMPLETE" in run("completion", shell).out


def test_what_the_shell_asks_for_is_completed() -> None:
    env = {
        "_FLEET_COMPLETE": "bash_complete",
        "COMP_WORDS": "fleet node co",
        "COMP_CWORD": "2",
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run([sys.executable, "-m", "fleet"], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["plain,command", "plain,config"]


def test_python_dash_m_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fleet", "node", "list", "--fleet", "/nonexistent", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert json.loads(done.stderr)["error"]["code"] == "not-found"
