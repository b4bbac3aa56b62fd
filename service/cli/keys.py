"""The commands `keys new` and `keys sign`."""

import re
from pathlib import Path

import click

from seedmint.models.errors import UserError
from seedmint.service.server.api_keys import new_key, new_signing_key, signing_keys_of
from seedmint.service.server.url_signatures import parse_signing_line, sign_url

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])", re.ASCII)


@click.group()
def keys() -> None:
    """Create API keys for `seedmint serve`, and sign URLs.

    \b
    seedmint keys new alice >> keys.txt
    """


@keys.command()
@click.argument("name")
@click.option("--signing", is_flag=True, help="Create a key that signs URLs. Its line is secret.")
def new(name: str, signing: bool) -> None:
    """Create an API key for the client NAME.

    \b
    seedmint keys new alice >> keys.txt
    SEEDMINT_API_KEYS_FILE=keys.txt seedmint serve

    The command prints the key once, to standard error. It prints the line for the server to standard output: the line contains
    only the SHA-256 of the key. Logs and limits identify the client by NAME. Several keys can have the same name.
    """
    if signing:
        click.echo(new_signing_key(name))
        return
    key, line = new_key(name)
    click.echo(key, err=True)
    click.echo(line)


@keys.command()
@click.argument("url")
@click.option("--file", "path", type=click.Path(path_type=Path), required=True, help="File with the line of the signing key.")
@click.option("--name", help="Name of the signing key, if the file has several.")
@click.option("--for", "duration", default="1h", show_default=True, help="Time until the URL expires: 90s, 30m, 12h, 7d.")
def sign(url: str, path: Path, name: str | None, duration: str) -> None:
    """Print a URL that needs no API key until it expires.

    \b
    seedmint keys new web --signing >> keys.txt
    seedmint keys sign --file keys.txt --for 7d https://images.example/v1/models/mnist/images/42.png

    The server must have the line of the signing key among its API keys.
    """
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise UserError("use a number and a unit: 90s, 30m, 12h or 7d", field="for", reason="malformed")
    click.echo(sign_url(url, _signing_key(path, name), int(found[1]) * _UNITS[found[2]]))


def _signing_key(path: Path, name: str | None) -> str:
    """Return the line of the newest signing key of a file."""
    lines = {parsed[0]: line for line in signing_keys_of(path) if (parsed := parse_signing_line(line)) is not None}
    if name is None and len(lines) > 1:
        raise UserError(f"the file has several signing keys: {', '.join(lines)}", field="name", reason="missing")
    if not lines or (name is not None and name not in lines):
        raise UserError(
            "the file has no such signing key: add a line of `seedmint keys new NAME --signing`",
            field="name" if name is not None else "file",
            reason="no_signing_key",
        )
    return lines[name] if name is not None else next(iter(lines.values()))
