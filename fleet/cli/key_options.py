"""The options of whatever signs: which key, and whence its passphrase. Never an argument, which others can see."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fleet.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from fleet.cli.output import Output
    from fleet.signing import Signer

F = TypeVar("F", bound=Callable[..., Any])
VARIABLE = "LUMENAIR_KEY_PASSPHRASE"
_MAX = 1024  # bytes of a file that holds one line


def keys_option(function: F) -> F:
    """`--key FILE`, once or more: the command gets `keys`, for `signers`."""
    return click.option(
        "--key",
        "keys",
        metavar="FILE",
        multiple=True,
        required=True,
        type=click.Path(dir_okay=False, path_type=Path),
        help="A private key in PEM, or NAME.toml with the command of an external signer.",
    )(function)


def passphrase_option(function: F) -> F:
    """`--passphrase-file FILE`: the command gets `passphrase_file`."""
    return click.option(
        "--passphrase-file",
        metavar="FILE",
        type=click.Path(path_type=Path, allow_dash=True),
        help=f"Its first line opens the key; - is stdin; else {VARIABLE}; else you are asked.",
    )(function)


def signers(keys: Sequence[Path], passphrase_file: Path | None, out: "Output") -> "list[Signer]":
    """What signs, in the order of `--key`; what its owner should know is noted."""
    from fleet import signing

    given = _given(passphrase_file)
    found = [signing.open_signer(path, lambda path: given or _asked(path)) for path in keys]
    for one in found:
        out.note(one.note)
    return found


def new_passphrase(passphrase_file: Path | None) -> bytes:
    """The passphrase for keys to be made; a person is asked twice. UsageError when it is too short or there is none."""
    from fleet.signing import make

    return make.check_passphrase(_given(passphrase_file) or _asked(None))


def _given(file: Path | None) -> bytes:
    """What stands in the file or in the environment; empty when there is neither."""
    if file is None:
        return os.environ.get(VARIABLE, "").encode()
    try:
        with click.open_file(str(file), "rb") as lines:  # - is stdin
            line: bytes = lines.readline(_MAX)
    except OSError as error:
        raise NotFoundError(f"cannot read {file}", cause=error.strerror or str(error)) from error
    if not line.rstrip(b"\r\n"):
        raise UsageError(f"{file} is empty", hint="its first line is the passphrase")
    return line.rstrip(b"\r\n")


def _asked(path: Path | None) -> bytes:
    """What a person types; `path` is the key to open, None for one to be made."""
    what = "the new key needs a passphrase" if path is None else f"{path} is encrypted"
    if not sys.stdin.isatty():
        hint = f"give it with --passphrase-file or {VARIABLE}"
        raise UsageError(what, cause="there is nobody to ask for the passphrase", hint=hint)
    text = "Passphrase for the new key" if path is None else f"Passphrase of {path}"
    found: str = click.prompt(text, hide_input=True, confirmation_prompt=path is None, err=True)
    return found.encode()
