"""cnn-v2: a small classifier of a data set's own images, which sees what is in an image. It never learns from a generated one.

Fixed recipe: two convolutions of 3x3 and two linear layers, batch normalisation, dropout, Adam with a learning rate that
falls along a half cosine, images shifted by up to 2 pixels (1 below 16). Trained on the training split, measured on the test
split, stored as float16. (In cnn-v1 the last hidden layer was not normalised: two thirds of its features were always 0.)

For digits, MNIST and Fashion-MNIST the weights come with Seedmint, so that everybody's scores compare; make_weights.py makes
them. For other data they are trained once and kept in the cache.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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

from seedmint.models.files import write_whole
from seedmint.training.datasets import DataError, Dataset
from seedmint.training.evaluation.metrics.modes import spelled

NAME = "cnn-v2"
FEATURES = 128
SIDES = (4, 128)  # fewest and most pixels of an image's side
WEIGHTS = Path(__file__).parent / "weights"

# Digest of the training split -> the name of the shipped weights, and the SHA-256 of their file.
_SHIPPED = {
    "2075d2ce35196563cfb485018982320ca731fa7d07066662d6150c01bb5d8398": (
        "cnn-v2-digits",
        "b5ff763985d876749d7bf632080eba80839ea016fefa31ca42df43a6e10e6b00",
    ),
    "38fd7a53ac4e90407520db7fbcfdfc198d41d2829409b3b4529f859b3030d18b": (
        "cnn-v2-mnist",
        "4f0b292b7c58b2156368f4a80508d55d3b922873566ab98bd12b971a70646fb7",
    ),
    "45da5a4e7cbb4d0cd3992b9cde7a8383c3d1cdd80bf8705b3c86b5a4d34205fa": (
        "cnn-v2-fashion-mnist",
        "47f62de85d4262d8183d0ec2101c7a518c15248eebd206d623b4c118ae8ff8a8",
    ),
}

_SAMPLES = 400_000  # images shown in training, 6.7 epochs of MNIST; of small sets, at most
_EPOCHS = 100
_BATCH = 128
_HIGHEST_RATE = 2e-3
_SEEN_AT_ONCE = 500


@dataclass(frozen=True)
class Seen:
    """What a classifier sees in n images.

    Attributes:
        features: float32[n, d], of its last hidden layer, after the ReLU.
        labels: int64[n], the likeliest.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]


class FeatureExtractor(Protocol):
    """Whatever sees in images. `name` and `digest` say which: figures of different judges do not compare."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def accuracy(self) -> float: ...

    def see(self, images: NDArray[np.uint8]) -> Seen: ...


@dataclass(frozen=True)
class Classifier:
    """A trained network: `digest` is the SHA-256 of its weights' file, `accuracy` on the test split is 0 to 1."""

    name: str
    digest: str
    accuracy: float
    network: nn.Sequential

    @torch.no_grad()
    def see(self, images: NDArray[np.uint8]) -> Seen:
        """What it sees in uint8[n, channels, height, width]; `FEATURES` features."""
        features, labels = [], []
        for part in torch.split(torch.from_numpy(images), _SEEN_AT_ONCE):
            hidden = self.network[:-1](_scaled(part))
            features.append(hidden)
            labels.append(self.network[-1](hidden).argmax(dim=1))
        return Seen(torch.cat(features).numpy(), torch.cat(labels).numpy())


@dataclass(frozen=True)
class ByChannel:
    """A classifier of digits that looks at each of the three channels of Stacked MNIST by itself.

    Its features are the three channels' one after the other; its label is the number that the three digits spell.
    """

    digits: FeatureExtractor

    @property
    def name(self) -> str:
        return f"{self.digits.name}-by-channel"

    @property
    def digest(self) -> str:
        return self.digits.digest

    @property
    def accuracy(self) -> float:
        return self.digits.accuracy

    def see(self, images: NDArray[np.uint8]) -> Seen:
        """What it sees in uint8[n, 3, height, width]."""
        n, channels, height, width = images.shape
        seen = self.digits.see(images.reshape(n * channels, 1, height, width))
        return Seen(seen.features.reshape(n, -1), spelled(seen.labels.reshape(n, channels)))


def classifier_of(train: Dataset, test: Dataset, data_name: str) -> Classifier:
    """The classifier of a data set: shipped, from the cache, or trained now (a few minutes for images like MNIST's).

    Args:
        train, test: the splits that it learns from and is measured on.
        data_name: what the data are called, which is part of the classifier's name.

    Raises:
        DataError: the data have no labels.
        RuntimeError: the shipped weights are not those that were published.
    """
    if train.digest in _SHIPPED:
        name, published = _SHIPPED[train.digest]
        content = (WEIGHTS / f"{name}.safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != published:
            raise RuntimeError(f"the weights of {name} on this machine are not the published ones")
        return _loaded(WEIGHTS / f"{name}.safetensors", name, train)
    if train.labels is None or train.classes is None:
        raise DataError(f"{train.name} has no labels to learn")
    name = f"{NAME}-{re.sub('[^a-z0-9]+', '-', data_name.lower()).strip('-')}"
    path = user_cache_path("seedmint") / "classifiers" / f"{NAME}-{train.digest[:16]}-{test.digest[:16]}.safetensors"
    try:
        return _loaded(path, name, train)
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError):  # not there, or damaged
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, train_classifier(train, test))
    return _loaded(path, name, train)


def train_classifier(train: Dataset, test: Dataset) -> bytes:
    """A classifier trained by the fixed recipe, as a safetensors file of float16 with its accuracy in the metadata.

    Args:
        train, test: with labels.
    """
    assert train.labels is not None
    assert train.classes is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _network(train.images.shape[1:], len(train.classes))
        _fit(network, train.images, train.labels)
    stored = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in network.state_dict().items()}
    network.load_state_dict(stored)  # as it will be used
    right = Classifier(NAME, "", 0.0, network.eval()).see(test.images).labels == test.labels
    return save(stored, {"accuracy": repr(float(right.mean()))})


def _loaded(path: Path, name: str, train: Dataset) -> Classifier:
    assert train.classes is not None
    with torch.random.fork_rng(devices=[]):
        network = _network(train.images.shape[1:], len(train.classes))
    with safe_open(path, framework="pt") as file:
        network.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 -- not a mapping
        accuracy = float(file.metadata()["accuracy"])
    return Classifier(name, hashlib.sha256(path.read_bytes()).hexdigest(), accuracy, network.eval())


def _network(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    channels, height, width = shape
    return nn.Sequential(
        *(nn.Conv2d(channels, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * (height // 4) * (width // 4), FEATURES)),
        *(nn.BatchNorm1d(FEATURES), nn.ReLU(), nn.Dropout(0.5), nn.Linear(FEATURES, classes)),
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
