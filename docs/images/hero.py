"""Draw docs/images/hero.webp, the animation of the README: python docs/images/hero.py

Each cell is a latent walk through four seeds and back to the first one. A column has one class of each generator; the classes
of MNIST and Fashion-MNIST begin again in the last two columns.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import seedmint

_ROWS = (("icons", 100), ("mnist", 200), ("icons", 300), ("fashion-mnist", 400))  # generator, first seed
_COLUMNS = 12
_SIDE = 32  # of a cell before it is enlarged; smaller images have a margin
_SEEDS = 4
_FRAMES = 14  # of each walk between two seeds
_SCALE, _GAP = 2, 4
_MILLISECONDS = 70


def _cell(generator: seedmint.Generator, label: int, first: int) -> NDArray[np.uint8]:
    """Return a closed walk, uint8[frames, side, side, 3]."""
    seeds = [first + 10 * label + step for step in range(_SEEDS)]
    walks = [
        generator.interpolate(start, end, frames=_FRAMES + 1, label=label)[:-1]
        for start, end in zip(seeds, [*seeds[1:], seeds[0]], strict=True)
    ]
    images = np.concatenate(walks)
    margin = (_SIDE - images.shape[1]) // 2
    images = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    return np.asarray(images if images.shape[3] == 3 else images.repeat(3, 3))


def _draw() -> list[Image.Image]:
    rows = []
    for name, first in _ROWS:
        generator = seedmint.load(name)
        classes = len(generator.classes)
        cells = [_cell(generator, column % classes, first) for column in range(_COLUMNS)]
        edges = ((0, 0), (_GAP, _GAP), (_GAP, _GAP), (0, 0))
        cells = [np.pad(cell.repeat(_SCALE, 1).repeat(_SCALE, 2), edges) for cell in cells]
        rows.append(np.concatenate(cells, 2))
    return [Image.fromarray(frame) for frame in np.concatenate(rows, 1)]


if __name__ == "__main__":
    first, *others = _draw()
    path = Path(__file__).with_name("hero.webp")
    first.save(path, save_all=True, append_images=others, duration=_MILLISECONDS, loop=0, quality=70, method=6)
    print(f"{path}: {len(others) + 1} frames, {first.width}x{first.height}, {path.stat().st_size / 1e3:.0f} kB")
