"""The command `serve`."""

import logging
import os
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path

import click

from seedmint.models.errors import UserError
from seedmint.models.noise import NOISE_RULES
from seedmint.models.places import place_name
from seedmint.service.batching import leader_state
from seedmint.service.batching.generator_leader import GeneratorLeader
from seedmint.service.batching.place_scanner import PlaceScanner
from seedmint.service.cli.options import check_models_directory
from seedmint.service.cli.settings_options import settings_options, to_variables
from seedmint.service.places.opening import open_places
from seedmint.service.places.place import Place
from seedmint.service.runtime.noise_check import check_tables
from seedmint.service.server import key_leader, shared_buckets
from seedmint.service.server.api_keys import read_keyring
from seedmint.service.server.connections import raise_descriptor_limit
from seedmint.service.server.key_leader import KeyLeader
from seedmint.service.server.listener import listen
from seedmint.service.server.rate_limiter import create_rate_limiter
from seedmint.service.server.shared_buckets import LimitLeader
from seedmint.service.server.stop_signals import StopSignals
from seedmint.service.server.supervisor import Part, Supervisor
from seedmint.service.settings import Settings, SettingsError, read_settings
from seedmint.service.telemetry.logs import configure_logs, log_to_stdout

_WORKER_MODULE = "seedmint.service.cli.worker"


@click.command()
@settings_options
def serve(**options: str | bool | None) -> None:
    """Serve all generators of the models directory over HTTP.

    \b
    seedmint serve
    seedmint serve --models ~/generators --host 0.0.0.0 --port 8080 --workers 2

    \b
    Then:
      curl -L localhost:3000/v1/models/mnist/images/42.png --output 42.png
      curl localhost:3000/v1/models
      open http://localhost:3000/

    The brackets name the environment variable of each option. Press Ctrl-C or send SIGTERM to stop: the server first finishes
    the requests in flight. A second signal ends the server at once.
    """
    with StopSignals() as signals:  # first: process 1 of a container ignores signals without handlers
        settings = check_models_directory(read_settings(os.environ | to_variables(options)))
        _check(settings)
        signals.hold()
        status = _supervise(settings, signals)
    raise SystemExit(status)


def _check(settings: Settings) -> None:
    """Check everything that can fail. Otherwise every worker fails, and the supervisor starts workers repeatedly."""
    if find_spec("bentoml") is None:
        raise ModuleNotFoundError("No module named 'bentoml'", name="bentoml")
    check_tables(*NOISE_RULES)
    read_keyring(settings)
    if settings.jobs_url is not None:
        _check_jobs(settings.jobs_url)
    if settings.provider == "cuda":
        from seedmint.models.runtime.provider import choose_provider

        choose_provider("cuda")


def _supervise(settings: Settings, signals: StopSignals) -> int:
    """Run the workers until a signal stops the server, and return its exit status."""
    # Each server has its own directory. Servers with a common directory would mix the metrics of their workers.
    places = open_places(settings)
    with listen(settings) as listener, tempfile.TemporaryDirectory(prefix="seedmint-") as directory:
        settings.replace_in(os.environ)
        os.environ.update(_worker_environment(Path(directory)))
        log_to_stdout()
        if settings.tracing:
            from seedmint.service.app import Seedmint
            from seedmint.service.server.bentoml_adapter import check_tracing

            check_tracing(Seedmint)
        configure_logs(settings.log_format)
        if not signals.received:
            _log_url(settings)
        try:
            return _lead(settings, places, listener, signals)
        finally:
            if settings.unix_socket is not None:
                settings.unix_socket.unlink(missing_ok=True)


def _lead(settings: Settings, places: Sequence[Place], listener: socket.socket, signals: StopSignals) -> int:
    """Run the workers, and lead them: the generators, the API keys and the limits are the same in all of them."""
    logging.getLogger("seedmint").setLevel(logging.INFO)
    raise_descriptor_limit()  # each file in service is open
    with ExitStack() as stack:
        scanner = PlaceScanner(places, settings.watch_seconds)
        generators = stack.enter_context(closing(GeneratorLeader(scanner)))
        parts: dict[str, Part] = {}  # in the order in which a new worker receives them: no request is served without keys
        if settings.needs_keys:
            parts[key_leader.ABOUT] = KeyLeader(settings)
        if settings.workers > 1 and create_rate_limiter(settings) is not None:
            parts[shared_buckets.ABOUT] = stack.enter_context(closing(LimitLeader()))
        parts[leader_state.ABOUT] = generators
        scanner.start()
        return Supervisor(_WORKER_MODULE, listener, settings.workers, signals, parts).run()


def _worker_environment(directory: Path) -> dict[str, str]:
    """Return the environment variables of the worker processes, besides the settings.

    Args:
        directory: Directory of this server.
    """
    metrics = directory / "metrics"
    metrics.mkdir()
    return {
        "BENTOML_HOME": str(directory),
        "BENTOML_DO_NOT_TRACK": "true",
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
    }


def _log_url(settings: Settings) -> None:
    """Write one line with the URL of the server."""
    host = f"[{settings.host}]" if settings.host.version == 6 else str(settings.host)
    host = "localhost" if settings.host.is_unspecified else host
    address = f"http://{host}:{settings.port}" if settings.unix_socket is None else f"unix:{settings.unix_socket}"
    line = f"Seedmint on {address} (generators of {', '.join(map(place_name, settings.models))}; Ctrl-C stops)"
    if settings.log_format == "json":
        logging.getLogger("seedmint").setLevel(logging.INFO)
        logging.getLogger("seedmint").info(line)
    else:
        click.echo(line)


def _check_jobs(url: str) -> None:
    """Check that jobs can write to a URL.

    Args:
        url: A directory, or a URL of an object store.

    Raises:
        SettingsError: The extra `batch` is not installed, or the directory or URL cannot be used.
    """
    try:
        from seedmint.service.batch.storage.resolve import open_output

        open_output(url).prepare()
    except ImportError as error:
        message = f"{error.name} is not installed: install the extra `batch`"
        raise SettingsError(message, field="jobs_url", reason="not_installed") from None
    except (UserError, OSError) as error:
        text = error.strerror if isinstance(error, OSError) else error.args[0]
        raise SettingsError(f"{url!r} cannot be used: {text}", field="jobs_url", reason="unusable") from None
