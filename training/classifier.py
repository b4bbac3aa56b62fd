"""A small classifier of a data set's own images, the judge of label accuracy. It never sees a generated image.

Fixed recipe: two convolutions of 3x3 and two linear layers, batch normalisation, dropout, Adam with a learning rate that
falls along a half cosine, images shifted by up to 2 pixels (1 below 16). Trained on the training split, measured on the test
split, and kept in the cache; on one machine the same data give the same weights.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import track
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from models.files import write_whole
from training.datasets import DataError, Dataset

NAME = "cnn-v1"
_SAMPLES = 400_000  # images shown in training, 6.7 epochs of MNIST; of small sets, at most
_EPOCHS = 100
_BATCH = 128
_HIGHEST_RATE = 2e-3


@dataclass(frozen=True)
class Classifier:
    """A trained classifier and its accuracy on the test split, 0 to 1."""

    network: nn.Module
    accuracy: float

    def labels(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The label it gives each of uint8[n, channels, height, width]; int64[n]."""
        return _predict(self.network, images)


def classifier_of(train: Dataset, test: Dataset) -> Classifier:
    """The classifier of a data set, from the cache or trained now (a few minutes for MNIST).

    Raises:
        DataError: the data have no labels.
    """
    if train.labels is None or test.labels is None or train.classes is None:
        raise DataError(f"{train.name} has no labels to learn")
    torch.manual_seed(0)
    network = _network(train.images.shape[1:], len(train.classes))
    path = user_cache_path("seedmint") / "classifiers" / f"{NAME}-{train.digest[:16]}-{test.digest[:16]}.safetensors"
    if (accuracy := _load(network, path)) is None:
        _fit(network, train.images, train.labels)
        accuracy = float((_predict(network, test.images) == test.labels).mean())
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, save(network.state_dict(), {"accuracy": repr(accuracy)}))
    return Classifier(network.eval(), accuracy)


def _network(shape: tuple[int, ...], classes: int) -> nn.Module:
    channels, height, width = shape
    return nn.Sequential(
        *(nn.Conv2d(channels, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * (height // 4) * (width // 4), 128), nn.ReLU()),
        *(nn.Dropout(0.5), nn.Linear(128, classes)),
    )


def _fit(network: nn.Module, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    steps = min(_SAMPLES, _EPOCHS * len(x)) // _BATCH
    optimizer = torch.optim.Adam(network.parameters(), lr=_HIGHEST_RATE)
    network.train()
    for step in track(range(steps), f"training {NAME}, once for these data", console=Console(stderr=True), transient=True):
        optimizer.param_groups[0]["lr"] = _HIGHEST_RATE * (1 + math.cos(math.pi * step / steps)) / 2
        rows = torch.randint(len(x), (_BATCH,))
        loss = functional.cross_entropy(network(_shifted(_scaled(x[rows]))), y[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _scaled(images: Tensor) -> Tensor:
    return images.float() / 255


def _shifted(images: Tensor) -> Tensor:
    reach = 2 if images.shape[-1] >= 16 else 1
    down, right = (int(n) for n in torch.randint(-reach, reach + 1, (2,)))
    return images.roll((down, right), dims=(2, 3))


@torch.no_grad()
def _predict(network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    network.eval()
    parts = [network(_scaled(part)).argmax(dim=1) for part in torch.split(torch.from_numpy(images), 1000)]
    found: NDArray[np.int64] = torch.cat(parts).numpy()
    return found


def _load(network: nn.Module, path: Path) -> float | None:
    """Fill in the cached weights and return their accuracy; None where there are none that fit."""
    try:
        with safe_open(path, framework="pt") as file:
            network.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 -- not a mapping
            return float(file.metadata()["accuracy"])
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError):
        return None
