"""The command `serve`."""

import logging
import os
import shutil
import socket
import tempfile
from pathlib import Path

import click

from seedmint.models.errors import UserError
from seedmint.models.noise import NOISE_RULES
from seedmint.service.cli.options import check_models_directory
from seedmint.service.cli.settings_options import settings_options, to_variables
from seedmint.service.runtime.noise_check import check_tables
from seedmint.service.server.api_keys import read_keyring
from seedmint.service.settings import Settings, SettingsError, read_settings, variable

_ROOT = Path(__file__).parents[3]


_CLOSING_SECONDS = 2  # for connections, once what was under way is done: service/server/graceful_shutdown.py waits for that


@click.command()
@settings_options
def serve(**options: str | bool | None) -> None:
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
    settings = check_models_directory(read_settings(os.environ | to_variables(options)))
    _check_port(settings)
    check_tables(*NOISE_RULES)
    read_keyring(settings)
    if settings.jobs_url is not None:
        _check_jobs(settings.jobs_url)
    if settings.provider == "cuda":
        from seedmint.models.runtime.provider import choose_provider

        choose_provider("cuda")  # what is missing is told here, not by each worker
    _serve(settings)


def _check_jobs(place: str) -> None:
    """What is wrong with it is told here, not by each worker."""
    try:
        from seedmint.service.batch.storage.resolve import open_output

        open_output(place).prepare()
    except ImportError as error:
        raise SettingsError(
            f"{variable('jobs_url')} is set, and {error.name} is not installed: install the extra `batch`"
        ) from None
    except (UserError, OSError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError(f"{variable('jobs_url')} is {place!r}: {said}") from None


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
        from _bentoml_impl.server import serve_http  # type: ignore[import-untyped]
        from bentoml._internal.log import configure_logging

        from seedmint.service.app import Seedmint
        from seedmint.service.server.supervisor import look_often
        from seedmint.service.telemetry.logs import configure_logs

        host = f"[{settings.host}]" if settings.host.version == 6 else str(settings.host)
        host = "localhost" if settings.host.is_unspecified else host
        # What Seedmint.serve_http does, which cannot say how long to wait for what is under way.
        Seedmint.inject_config()  # type: ignore[attr-defined]  # the decorator makes it a bentoml.Service
        if settings.tracing:
            _check_tracing()
        configure_logging()  # type: ignore[no-untyped-call]
        configure_logs(settings.log_format)
        started = f"Seedmint on http://{host}:{settings.port} (generators of {settings.models}; Ctrl-C stops)"
        if settings.log_format == "json":
            logging.getLogger("seedmint").info(started)
        else:
            click.echo(started)
        look_often()
        serve_http(Seedmint, host=str(settings.host), port=settings.port, timeout_graceful_shutdown=_CLOSING_SECONDS)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _check_tracing() -> None:
    """What BentoML's settings for traces ask for, tried once here: each worker would fail on it, again and again."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    if BentoMLContainer.config.tracing.exporter_type.get() is None:
        raise SettingsError(f"{variable('tracing')} is true, and BentoML's settings name no services.tracing.exporter_type")
    try:
        BentoMLContainer.tracer_provider.get().shutdown()
    except ImportError as error:
        raise SettingsError(
            f"{variable('tracing')} is true, and the exporter is not installed (bentoml[tracing-otlp], for one): {error}"
        ) from None
