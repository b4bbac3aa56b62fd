"""The command `keys`."""

import click

from seedmint.service.server.api_keys import new_key


@click.group()
def keys() -> None:
    """Make API keys for `serve`."""


@keys.command()
@click.argument("name")
def new(name: str) -> None:
    """Make a key for NAME, who will be known by that name in logs and limits.

    The key is shown on standard error, and never again. The line on standard output is what the server needs; it does not give
    the key away. Several keys may have one name.

    \b
    seedmint keys new alice >> keys.txt
    SEEDMINT_API_KEYS_FILE=keys.txt seedmint serve
    """
    key, line = new_key(name)
    click.echo(key, err=True)
    click.echo(line)
