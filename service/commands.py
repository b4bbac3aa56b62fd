"""The commands `serve`, `sample` and `models`. BentoML is loaded by `serve` alone."""

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from models.card import Card
from models.errors import UserError
from service.settings import Settings, SettingsError, read_settings, variable

_ROOT = Path(__file__).parent.parent


def _settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each setting: --max-batch for SEEDMINT_MAX_BATCH."""
    for field, info in reversed(Settings.model_fields.items()):
        flag = "--" + field.replace("_", "-")
        text = f"{info.description} [{variable(field)}; default {info.get_default()}]"
        if field == "models":
            text = f"{info.description} [{variable(field)}; default: the generators that come with Seedmint]"
        command = click.option(flag, field, metavar=field.split("_")[-1].upper(), help=text)(command)
    return command


@click.command()
@_settings_options
def serve(**options: str | None) -> None:
    """Serve every generator of the models directory over HTTP.

    \b
    seedmint serve
    seedmint serve --models ~/generators --host 0.0.0.0 --port 8080 --workers 2

    \b
    Then:
      curl -L localhost:3000/v1/models/mnist/images/42.png --output 42.png
      curl localhost:3000/v1/models
      open http://localhost:3000/

    Each option is also an environment variable, named in brackets. Stop with Ctrl-C or SIGTERM: what is under way is finished.
    """
    given = {variable(field): value for field, value in options.items() if value is not None}
    settings = read_settings(os.environ | given)
    if not settings.models.is_dir():
        raise SettingsError(f"{variable('models')}: there is no directory {settings.models}")
    _check_port(settings)
    from service.provider import choose_provider

    choose_provider(settings.provider)  # an error here rather than in each worker's log
    _serve(settings)


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if settings.host.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((str(settings.host), settings.port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror}. Try another {variable('port')}"
            ) from None


def _serve(settings: Settings) -> None:
    """Run BentoML's supervisor in this process, until a signal stops it."""
    # A home of its own for each server: BentoML keeps the workers' metrics there, and empties them when another server starts.
    home = tempfile.mkdtemp(prefix="seedmint-")
    quiet = {"BENTOML_HOME": home, "BENTOML_QUIET": "true", "BENTOML_DO_NOT_TRACK": "true"}
    os.environ.update(settings.to_environment() | quiet)
    os.chdir(_ROOT)  # the workers import the service from here
    try:
        from service.app import Seedmint

        host = f"[{settings.host}]" if settings.host.version == 6 else settings.host
        click.echo(f"Seedmint on http://{host}:{settings.port} (generators of {settings.models}; Ctrl-C stops)")
        Seedmint.serve_http(host=str(settings.host), port=settings.port)
    finally:
        shutil.rmtree(home, ignore_errors=True)
