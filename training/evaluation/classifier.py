"""cnn-v2: a small classifier that extracts features and labels from images. It is trained only on real images.

The recipe is fixed: two 3x3 convolutions and two linear layers, batch normalization, dropout, Adam with a half-cosine learning
rate, images shifted by up to 2 pixels (1 pixel for sides below 16). The classifier is trained on the training split, its
accuracy is measured on the test split, and its weights are stored as float16. (cnn-v1 did not normalize the last hidden layer,
and two thirds of its features were always 0.)

The weights for digits, icons, MNIST and Fashion-MNIST come with Seedmint, so that scores are comparable; make_weights.py
trains them. For other data, the classifier is trained once and stored in the cache.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from seedmint.models.files import write_whole
from seedmint.training.datasets import DataError, Dataset
from seedmint.training.datasets.cache import cache_directory
from seedmint.training.datasets.progress import OnProgress, ignore_progress
from seedmint.training.evaluation.features import NUM_FEATURES, Features

NAME = "cnn-v2"
MIN_SIDE, MAX_SIDE = 4, 128
"""Smallest and largest side of an image, pixels."""
WEIGHTS_DIRECTORY = Path(__file__).parent / "weights"

# Digest of the training split -> name of the shipped weights, and SHA-256 of their file.
_SHIPPED_WEIGHTS = {
    "2075d2ce35196563cfb485018982320ca731fa7d07066662d6150c01bb5d8398": (
        "cnn-v2-digits",
        "b5ff763985d876749d7bf632080eba80839ea016fefa31ca42df43a6e10e6b00",
    ),
    "02260de1695e3fbc0552c57cf7fb3f9676f33d042a3ba1f2047548fd937a5e8b": (
        "cnn-v2-icons",
        "036071af19de9c58a27cce511d6ed487412cff52b15772809bad9b58e31d7b5b",
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

_MAX_EXAMPLES = 400_000  # examples that the training uses: 6.7 epochs of MNIST
_MAX_EPOCHS = 100
_BATCH = 128
_LEARNING_RATE = 2e-3
_EXTRACTION_BATCH = 500


@dataclass(frozen=True)
class Classifier:
    """A trained classifier; implements `seedmint.training.evaluation.features.FeatureExtractor`.

    Attributes:
        name: Name for the metrics.
        digest: SHA-256 of the file of the weights.
        accuracy: Share of correct labels on the test split, 0 to 1.
        network: The network, in evaluation mode; the last layer gives the logits of the classes.
    """

    name: str
    digest: str
    accuracy: float
    network: nn.Sequential

    @torch.no_grad()
    def extract(self, images: NDArray[np.uint8]) -> Features:
        """Return the features and labels of images.

        Args:
            images: uint8[n, channels, height, width].
        """
        vectors, labels = [], []
        for part in torch.split(torch.from_numpy(images), _EXTRACTION_BATCH):
            hidden = self.network[:-1](_to_unit_range(part))
            vectors.append(hidden)
            labels.append(self.network[-1](hidden).argmax(dim=1))
        return Features(torch.cat(vectors).numpy(), torch.cat(labels).numpy())


def load_classifier(train: Dataset, test: Dataset, data_name: str, on_progress: OnProgress = ignore_progress) -> Classifier:
    """Return the classifier of a data set: shipped, cached, or newly trained (a few minutes for images like MNIST's).

    Args:
        train: The training split.
        test: The split that measures the accuracy.
        data_name: Name of the data, a part of the classifier's name.
        on_progress: Called during the training of a new classifier.

    Raises:
        DataError: The data have no labels.
        RuntimeError: The shipped weights differ from the published weights.
    """
    if train.digest in _SHIPPED_WEIGHTS:
        name, published_digest = _SHIPPED_WEIGHTS[train.digest]
        path = WEIGHTS_DIRECTORY / f"{name}.safetensors"
        if hashlib.sha256(path.read_bytes()).hexdigest() != published_digest:
            raise RuntimeError(f"the weights of {name} on this machine differ from the published weights")
        return _read_weights(path, name, train)
    if train.labels is None or train.classes is None:
        raise DataError(f"a classifier needs labels, but {train.name} has none", reason="no_labels")
    # Batches are drawn by position, so the order of the files must not matter.
    train, test = (part.take(part.draw_order, part.name) for part in (train, test))
    name = f"{NAME}-{re.sub('[^a-z0-9]+', '-', data_name.lower()).strip('-')}"
    path = cache_directory() / "classifiers" / f"{NAME}-{train.digest[:16]}-{test.digest[:16]}.safetensors"
    try:
        return _read_weights(path, name, train)
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError):  # missing or damaged
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, train_classifier(train, test, on_progress))
    return _read_weights(path, name, train)


def train_classifier(train: Dataset, test: Dataset, on_progress: OnProgress = ignore_progress) -> bytes:
    """Train a classifier with the fixed recipe.

    Args:
        train: The training split, with labels.
        test: The split that measures the accuracy, with labels.
        on_progress: Called after every step.

    Returns:
        A safetensors file of float16 weights, with the accuracy in its metadata.
    """
    assert train.labels is not None
    assert train.classes is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _network(train.images.shape[1:], len(train.classes))
        _fit(network, train.images, train.labels, on_progress)
    stored = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in network.state_dict().items()}
    network.load_state_dict(stored)  # the accuracy must be that of the float16 weights
    is_correct = Classifier(NAME, "", 0.0, network.eval()).extract(test.images).labels == test.labels
    return save(stored, {"accuracy": repr(float(is_correct.mean()))})


def _read_weights(path: Path, name: str, train: Dataset) -> Classifier:
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
        *(nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * (height // 4) * (width // 4), NUM_FEATURES)),
        *(nn.BatchNorm1d(NUM_FEATURES), nn.ReLU(), nn.Dropout(0.5), nn.Linear(NUM_FEATURES, classes)),
    )


def _fit(network: nn.Module, images: NDArray[np.uint8], labels: NDArray[np.int64], on_progress: OnProgress) -> None:
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    steps = min(_MAX_EXAMPLES, _MAX_EPOCHS * len(x)) // _BATCH
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    network.train()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = _LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2
        rows = torch.randint(len(x), (_BATCH,))
        loss = functional.cross_entropy(network(_shift_randomly(_to_unit_range(x[rows]))), y[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        on_progress(f"train {NAME} once for these data", step + 1, steps)


def _to_unit_range(images: Tensor) -> Tensor:
    return images.float() / 255


def _shift_randomly(images: Tensor) -> Tensor:
    max_shift = 2 if images.shape[-1] >= 16 else 1
    down, right = (int(n) for n in torch.randint(-max_shift, max_shift + 1, (2,)))
    return images.roll((down, right), dims=(2, 3))
