"""The command `watch`."""

import contextlib
from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on. There is no login.")
@click.option("--port", default=6010, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 chooses a free one.")
def watch(runs: tuple[Path, ...], host: str, port: int) -> None:
    """Show runs on a page while they train: curves, metrics, previews and notes.

    RUNS are run directories, or directories that contain run directories. The page compares several runs. The command only
    reads the files of a run, so the page works during the training and after its end.

    \b
    Examples:
      seedmint watch runs/d
      seedmint watch runs --port 6020
    """
    from seedmint.training.watch.run_view import find_runs
    from seedmint.training.watch.server import watch_server

    views = find_runs(runs)
    with watch_server(views, host, port) as server:
        name = f"[{host}]" if ":" in host else host
        names = ", ".join(view.description["name"] for view in views)
        click.echo(f"Watching {names}: open http://{name}:{server.server_address[1]} (Ctrl-C ends the command)")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
