"""Enlarges images and arranges them in a grid, as arrays. Each interface encodes the result itself."""

import numpy as np
from numpy.typing import NDArray


def enlarge(images: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Enlarge images by nearest neighbor.

    Args:
        images: uint8[..., height, width, channels].
        scale: Each pixel becomes scale x scale pixels.

    Returns:
        uint8[..., height * scale, width * scale, channels].
    """
    return images if scale == 1 else images.repeat(scale, axis=-3).repeat(scale, axis=-2)


def arrange(images: NDArray[np.uint8], columns: int, gap: int, level: int) -> NDArray[np.uint8]:
    """Arrange images in rows, from left to right.

    Args:
        images: uint8[n, height, width, channels], n at least 1.
        columns: Images in a row, at least 1.
        gap: Pixels between two images, at least 1.
        level: Value of the gaps and of the free places in the last row.

    Returns:
        uint8[rows * (height + gap) - gap, columns * (width + gap) - gap, channels]; with fewer images than `columns`, the
        picture has a column for each image.
    """
    n, height, width, channels = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    cells = np.full((rows * columns, height + gap, width + gap, channels), level, np.uint8)
    cells[:n, :height, :width] = images
    picture = cells.reshape(rows, columns, height + gap, width + gap, channels).swapaxes(1, 2)
    return picture.reshape(rows * (height + gap), columns * (width + gap), channels)[:-gap, :-gap]
