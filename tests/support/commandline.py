"""Runs the command line in this process."""

import pytest
from click.testing import CliRunner

from seedmint.cli import cli
from seedmint.models.errors import UserError


def run(*arguments: str) -> str:
    """Return the output of a command that succeeds."""
    result = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def run_error(*arguments: str) -> UserError:
    """Return the error of a command that fails."""
    with pytest.raises(UserError) as caught:
        CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    return caught.value
