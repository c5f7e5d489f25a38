"""`fleet completion`."""

import click
from click.shell_completion import get_completion_class

from fleet.cli.base import Command

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    cls=Command,
    examples=(
        'eval "$(fleet completion bash)"',
        "fleet completion zsh > ~/.zfunc/_fleet",
        "fleet completion fish > ~/.config/fish/completions/fleet.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    assert kind is not None
    root = ctx.find_root().command
    click.echo(kind(root, {}, "fleet", "_FLEET_COMPLETE").source())
