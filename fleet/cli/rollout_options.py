"""The options that describe a rollout, on the command line of `plan`, `start` and `rehearse`; over them a plan file."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fleet.cli.options import where_option
from fleet.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from fleet.rollout.draft import Draft

F = TypeVar("F", bound=Callable[..., Any])
_WINDOW = re.compile(r"(?P<cron>\S+(?: \S+){4}) for (?P<duration>\d+[a-z]+)(?: in (?P<zone>\S+))?")
_MULTIPLE: dict[str, tuple[str, str]] = {
    "release": ("ID", "Install this release; once for each product."),
    "set": ("NAME=VALUE", "Or change this setting; may be given several times."),
}
_ONE: dict[str, tuple[str, str]] = {
    "name": ("NAME", "What the rollout is called; default: after what it does."),
    "soak": ("TIME", "Between a wave and the next; default 15min."),
    "deadline": ("TIME", "From an order to the proof; default 1h."),
    "success": ("SHARE", "Proved nodes that the next wave needs; default 95%."),
    "failures": ("SHARE", "More failed ones than that halt; default 5%."),
    "jitter": ("TIME", "Spread the orders of a wave over that; default 0s."),
    "download": ("WINDOW", "Fetch in it only: '0 1 * * * for 4h in Europe/Berlin'."),
    "switch": ("WINDOW", "Restart in it only."),
    "expires": ("TIME", "Nodes that were never reached by then are dark; default 7d."),
}
_GATE = ("soak", "deadline", "success", "failures")
_LIMITS = ("in_flight", "per_minute", "jitter")
_CHOICES = {
    "on_failure": (("pause", "abort", "undo"), "What follows a gate that fails; default abort."),
    "overlap": (("refuse", "after", "supersede"), "Nodes that an open rollout has; default refuse."),
}


def plan_options(function: F) -> F:
    """`[PLAN.toml] [NODE]...` and the options above: the command gets `words`, `where` and `options` of its own."""
    decorators: list[Callable[[Any], Any]] = [
        click.argument("words", metavar="[PLAN.toml] [NODE]...", nargs=-1),
        where_option,
    ]
    for name, (metavar, text) in _MULTIPLE.items():
        decorators.append(click.option(f"--{name}", metavar=metavar, multiple=True, help=text))
    decorators += [
        click.option("--previous", is_flag=True, help="Or boot the program in the other slot."),
        click.option("--wave", metavar="NAME[=SIZE]", multiple=True, help="In their order: canary=1%, ten=10, rest."),
        click.option("--in-flight", type=int, help="Nodes under way at a time; default 50."),
        click.option("--per-minute", type=int, help="Orders; default 600."),
    ]
    for name, (metavar, text) in _ONE.items():
        decorators.append(click.option(f"--{name}", metavar=metavar, default=None, help=text))
    for name, (choices, text) in _CHOICES.items():
        option = f"--{name.replace('_', '-')}"
        decorators.append(click.option(option, type=click.Choice(choices), default=None, help=text))
    decorators += [
        click.option("--continuous", is_flag=True, help="Nodes that match later join the last wave."),
        click.option("--no-judging", is_flag=True, help="Go on without asking the telemetry."),
        click.option("--force", is_flag=True, help="Also what failed on a node before."),
        click.option("--now", is_flag=True, help="Restart at once, also a lamp that is wanted."),
    ]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def draft_of(words: Sequence[str], where: str, options: Mapping[str, Any]) -> "Draft":
    """What a command line describes; UsageError."""
    from fleet.rollout import draft

    files, nodes = split(words)
    if len(files) > 1:
        raise UsageError("more than one plan file is named", cause=", ".join(files))
    more = _tree(nodes, where, options)
    if not files:
        return draft.parse(more, "plan")
    tree = _read(Path(files[0]), draft.MAX_FILE)
    return draft.load(tree, files[0], more)


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(plan files, nodes): the id of a node has neither a dot nor a slash."""
    files = [word for word in words if "." in word or "/" in word]
    return files, [word for word in words if word not in files]


def describes(words: Sequence[str], where: str, options: Mapping[str, Any]) -> bool:
    """Whether a command line says what nodes shall do, and does not name a rollout."""
    goal = options["release"] or options["set"] or options["previous"]
    return bool(goal or where or split(words)[0])


def _read(path: Path, most: int) -> str:
    try:
        with path.open("rb") as file:
            found = file.read(most + 1)
        if len(found) > most:
            raise UsageError(f"plan {path} is too large", cause=f"more than {most >> 20} MiB")
        return found.decode()
    except FileNotFoundError:
        raise NotFoundError(f"no plan {path}", hint="`fleet rollout plan ... --save FILE` writes one") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}", cause=str(error)) from error


def _tree(nodes: Sequence[str], where: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a plan file that options stand for; what is not given is not there."""
    from fleet.rollout import draft

    # a number that is 0 was given: the plan refuses it
    given: dict[str, Any] = {name: value for name, value in options.items() if value or type(value) is int}
    tree: dict[str, Any] = {
        name: given[name] for name in ("name", "expires", "force", "now", *_CHOICES) if name in given
    }
    tree |= {"where": where} if where else {}
    tree |= {"nodes": list(nodes)} if nodes else {}
    tree |= {"mode": "continuous"} if "continuous" in given else {}
    tree |= _goal(given)
    for table, names in (("gate", _GATE), ("limits", _LIMITS)):
        found = {name: given[name] for name in names if name in given}
        tree |= {table: found} if found else {}
    tree |= {name: _window(name, given[name]) for name in ("download", "switch") if name in given}
    tree |= {"judging": {"enabled": False}} if "no_judging" in given else {}
    tree |= {"waves": [draft.wave_of(text) for text in given["wave"]]} if "wave" in given else {}
    return tree


def _goal(given: Mapping[str, Any]) -> dict[str, Any]:
    if sum(name in given for name in ("release", "set", "previous")) > 1:
        raise UsageError("a rollout does one thing", hint="one of --release, --set and --previous")
    if "release" in given:
        return {"goal": "release", "releases": list(given["release"])}
    if "previous" in given:
        return {"goal": "previous"}
    return {"goal": "config", "settings": dict(_setting(word) for word in given["set"])} if "set" in given else {}


def _setting(word: str) -> tuple[str, Any]:
    from fleet import configure

    name, sign, value = word.partition("=")
    if not sign:
        raise UsageError(f"{word} sets nothing", hint="for example: --set interval_s=30")
    row = configure.row_of(name)
    return row[1], value if value == "default" else configure.value_of(row, value)


def _window(name: str, text: str) -> dict[str, str]:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise UsageError(f"--{name}: {text!r} is no window", hint="'0 1 * * * for 4h in Europe/Berlin'")
    return {key: value for key, value in found.groupdict().items() if value}
