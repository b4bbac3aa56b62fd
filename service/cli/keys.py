"""The command `keys new`."""

import click

from seedmint.service.server.api_keys import new_key


@click.group()
def keys() -> None:
    """Create API keys for `seedmint serve`.

    \b
    seedmint keys new alice >> keys.txt
    """


@keys.command()
@click.argument("name")
def new(name: str) -> None:
    """Create an API key for the client NAME.

    \b
    seedmint keys new alice >> keys.txt
    SEEDMINT_API_KEYS_FILE=keys.txt seedmint serve

    The command prints the key once, to standard error. It prints the line for the server to standard output: the line contains
    only the SHA-256 of the key. Logs and limits identify the client by NAME. Several keys can have the same name.
    """
    key, line = new_key(name)
    click.echo(key, err=True)
    click.echo(line)
