"""The command line. Loads a wing only when one of its commands runs, so that `seedmint --help` answers at once."""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from seedmint.models.errors import UserError

# command -> (module, extra it needs, line of help)
_COMMANDS = {
    "train": ("seedmint.training.cli.train", "train", "Train a generator by Algorithm 1 from a recipe."),
    "resume": ("seedmint.training.cli.train", "train", "Go on with a run exactly where it stopped."),
    "evaluate": ("seedmint.training.cli.evaluate", "train", "Measure a generator file by all metrics that apply to it."),
    "report": (
        "seedmint.training.cli.evaluate",
        "train",
        "Write a page about a run or a generator.",
    ),
    "export": ("seedmint.training.cli.train", "train", "Turn a run's checkpoint into a generator file."),
    "theory": ("seedmint.training.cli.theory", "train", "Check the paper's theory in numbers, and draw it."),
    "serve": ("seedmint.service.cli.serve", "serve", "Serve every generator of the models directory over HTTP."),
    "sample": ("seedmint.service.cli.sample", "serve", "Write the images or samples of seeds to files, without a server."),
    "batch": (
        "seedmint.service.cli.batch",
        "batch",
        "Make images or samples by the million, in shards, the same bytes every time.",
    ),
    "models": ("seedmint.service.cli.models", "serve", "List generators, show one's card, or add one that others have made."),
    "keys": ("seedmint.service.cli.keys", "serve", "Make API keys for the server."),
}


def _version() -> str:
    try:
        return version("seedmint")
    except PackageNotFoundError:
        return "unknown (not installed)"


class _Wings(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(_COMMANDS[name][0]), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])


@click.group(cls=_Wings, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="seedmint")
def cli() -> None:
    """Seedmint trains generators with Algorithm 1 of Generative Adversarial Nets and serves them: a seed is an address.

    \b
    From nothing to your own generator in about two minutes:
      seedmint train digits --out runs/d
      seedmint export runs/d --name mine
      seedmint sample mine --seeds 0-63 --out grid.png
      seedmint serve
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run one command. What the user can mend is one line on standard error and exit status 1 or 2."""
    try:
        return cli.main(args=arguments, prog_name="seedmint")
    except UserError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.status)
    except ModuleNotFoundError as error:
        name = next((word for word in arguments or sys.argv[1:] if word in _COMMANDS), "serve")
        extra = _COMMANDS[name][1]
        if error.name is None or error.name.split(".")[0] == "seedmint":
            raise
        click.echo(
            f"Error: `seedmint {name}` needs {error.name}, which is not installed: "
            f"run `make {'serve' if extra == 'serve' else 'install'}`, or pip install -e '.[{extra}]'",
            err=True,
        )
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        click.echo(f"Error: {error.strerror or error}{place}", err=True)
    sys.exit(1)
