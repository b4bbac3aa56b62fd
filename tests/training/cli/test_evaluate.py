"""Options of `seedmint evaluate` that are refused before anything is measured."""

import pytest

from tests.support.commandline import run_error


@pytest.mark.parametrize(
    ("arguments", "field", "reason"),
    [
        (["mnist", "--training-images"], "training_images", "needs_write"),
        (["mnist", "--no-training-images"], "training_images", "needs_write"),
        (["mnist", "--metrics", "frechett"], "metrics", "unknown_metric"),
        (["mnist", "--out", "x.jpg"], "out", "unknown_suffix"),
        (["penguins", "--metrics", "prdc"], "metrics", "not_images"),
        (["penguins", "--write", "--training-images"], "training_images", "not_images"),
    ],
)
def test_refused_options(arguments, field, reason):
    error = run_error("evaluate", *arguments)
    assert (error.field, error.reason) == (field, reason)
