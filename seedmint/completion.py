"""The command `completion`."""

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes commands and options in a shell.

    \b
    eval "$(seedmint completion bash)"                                        # in ~/.bashrc
    eval "$(seedmint completion zsh)"                                         # in ~/.zshrc
    seedmint completion fish > ~/.config/fish/completions/seedmint.fish
    """
    completer = get_completion_class(shell)
    assert completer is not None  # click defines all three
    click.echo(completer(context.find_root().command, {}, "seedmint", "_SEEDMINT_COMPLETE").source())
