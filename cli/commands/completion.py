"""`farmgate completion`: the completion script of a shell."""

from __future__ import annotations

import click

from cli.group import Command
from cli.session import Session, with_session

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
@with_session
def completion(session: Session, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash   farmgate completion bash > ~/.local/share/bash-completion/completions/farmgate
    zsh    farmgate completion zsh > "${fpath[1]}/_farmgate"
    fish   farmgate completion fish > ~/.config/fish/completions/farmgate.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, "each of SHELLS has one"
    root = click.get_current_context().find_root().command
    session.output.raw(kind(root, {}, "farmgate", "_FARMGATE_COMPLETE").source())
