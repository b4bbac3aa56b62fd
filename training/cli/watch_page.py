"""The page of a run that this process trains."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from seedmint.training.optimization import distributed
from seedmint.training.watch.run_view import RunView
from seedmint.training.watch.server import watch_server

_HOST = "127.0.0.1"


@contextmanager
def watch_page(is_requested: bool, port: int) -> Iterator[Callable[[Path], None]]:
    """Serve the page of `seedmint watch` until the training ends. In distributed training, only the main process does.

    Args:
        is_requested: Whether to serve the page.
        port: Port; 0 for a free one.

    Yields:
        A function that shows the run of a directory.

    Raises:
        UserError: The port is not available. The error comes before the run has a directory.
    """
    if not is_requested or not distributed.is_main_process():
        yield lambda directory: None
        return
    views: list[RunView] = []
    with watch_server(views, _HOST, port) as server:
        thread = threading.Thread(target=server.serve_forever, name="watch page", daemon=True)
        thread.start()

        def show(directory: Path) -> None:
            views.append(RunView(directory))
            click.echo(f"Watch the run at http://{_HOST}:{server.server_address[1]} until it ends", err=True)

        try:
            yield show
        finally:
            server.shutdown()
            thread.join()
