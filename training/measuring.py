"""Measuring a generator in the course of its run."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.card import Metric
from training.datasets import load_all, load_splits
from training.metrics.parzen import parzen
from training.recipe import Recipe

SAMPLES = 10_000  # generated images, seeds 0 on
_VALID = slice(50_000, 51_000)  # training images that choose sigma, as the paper's code has it


def measure_run(recipe: Recipe, images: Callable[[NDArray[np.int64]], NDArray[np.uint8]]) -> tuple[Metric, ...]:
    """The recipe's `metrics`.

    Args:
        recipe: names the metrics and the data.
        images: uint8[n, height, width, channels] of int64[n] seeds.

    Raises:
        UserError: the data are not there.
    """
    generated = images(np.arange(SAMPLES, dtype=np.int64))
    metrics: list[Metric] = []
    if "parzen" in recipe.metrics:
        metrics.append(parzen_metric(generated, load_all(recipe.data).images, load_splits(recipe.data)[1].images))
    return tuple(metrics)


def parzen_metric(generated: NDArray[np.uint8], train: NDArray[np.uint8], test: NDArray[np.uint8]) -> Metric:
    """The log-likelihood by the paper's protocol.

    Args:
        generated: uint8[n, height, width, channels].
        train, test: uint8[n, channels, height, width].
    """
    found = parzen(_pixels(generated), _pixels(train[_VALID].transpose(0, 2, 3, 1)), _pixels(test.transpose(0, 2, 3, 1)))
    return Metric(
        metric="parzen-log-likelihood",
        protocol=(
            f"nats; windows around seeds 0-{len(generated) - 1} in [0, 1]; sigma {found.sigma:.4f} of logspace(-1, 0, 10) by "
            f"training images {_VALID.start}-{_VALID.stop - 1}; mean over {len(test):,} test images"
        ),
        value=found.mean,
        standard_error=found.standard_error,
        samples=len(generated),
    )


def _pixels(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return images.reshape(len(images), -1) / 255
