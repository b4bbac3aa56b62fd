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

    Standard error shows the key, once. Standard output is the line for the server: it contains the SHA-256 of the key, not the
    key. Logs and limits identify the client by NAME. Several keys can have the same name.
    """
    key, line = new_key(name)
    click.echo(key, err=True)
    click.echo(line)
