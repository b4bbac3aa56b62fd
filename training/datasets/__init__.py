"""Data sets: images as uint8, with labels where there are any."""

from training.datasets.dataset import DataError, Dataset
from training.datasets.digits import load_digits
from training.datasets.folder import load_folder
from training.datasets.idx import load_idx
from training.datasets.npz import load_npz
from training.recipe import Data

__all__ = ["DataError", "Dataset", "load_dataset"]


def load_dataset(data: Data, split: str = "train") -> Dataset:
    """The data set that a recipe names.

    Args:
        data: source and place.
        split: `train`: what generators are trained on. `test`: images held out by those who published the set, for
            measuring; digits, folders and npz files have none, so that every fifth image, which training also sees, stands in.

    Raises:
        DataError: the data are not to be found, or not what they should be.
    """
    if data.source in ("mnist", "fashion-mnist"):
        return load_idx(data.source, data.path, split)
    if data.source == "digits":
        whole = load_digits()
    elif data.source == "folder":
        whole = load_folder(str(data.path), data.side, data.channels, data.licence)
    else:
        whole = load_npz(str(data.path), data.licence)
    return whole if split == "train" else whole.every_fifth()
