"""The command line, called in this process."""

from click.testing import CliRunner

from seedmint.cli import cli


def run(*arguments: str) -> str:
    """What a command that succeeds says."""
    result = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output
