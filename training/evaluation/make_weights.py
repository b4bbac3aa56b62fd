"""Trains the cnn-v2 weights that come with Seedmint, on one CPU thread.

    python -m seedmint.training.evaluation.make_weights mnist

Writes training/evaluation/weights/cnn-v2-NAME.safetensors, and prints the entry of `_SHIPPED_WEIGHTS` in classifier.py. The
rounding of sums, and so the SHA-256, can differ on another kind of processor; the published file remains the reference.
"""

import hashlib
import sys

import torch

from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.training.datasets import load_splits
from seedmint.training.evaluation.classifier import NAME, WEIGHTS_DIRECTORY, train_classifier
from seedmint.training.recipes.data import Data


def main(sources: list[str]) -> None:
    """Train the classifier of each data source.

    Args:
        sources: Names of data sources.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for source in sources:
        train, test = load_splits(Data.model_validate({"source": source}))
        content = train_classifier(train, test)
        name = f"{NAME}-{source}"
        write_whole(WEIGHTS_DIRECTORY / f"{name}.safetensors", content)
        print(f'"{train.digest}": ("{name}", "{hashlib.sha256(content).hexdigest()}"),', flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"Error: {error}")
