"""Sliced Wasserstein distance between the patches of two sets of images, at several scales (Karras et al., 2018).

A Laplacian pyramid separates the scales. At each scale, random patches of 7x7 pixels are normalized by channel. The distance is
the mean over random directions of the 1-D Wasserstein distance of the projected patches.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from seedmint.training.datasets.draw import draw_order

PATCH = 7
NUM_DIRECTIONS = 256
_PATCHES_PER_IMAGE = 32
_MAX_IMAGES = 2_000
_MIN_SIDE = 16
_TAPS = np.array([1, 4, 6, 4, 1]) / 16  # the kernel of Burt & Adelson, 1983


def num_scales(height: int, width: int) -> int:
    """Return the number of scales of the pyramid: halvings down to 16 pixels, at least 1; 0 for images below 7 pixels.

    Args:
        height: Pixels.
        width: Pixels.
    """
    side, scales = min(height, width), 1
    if side < PATCH:
        return 0
    while side // 2 >= _MIN_SIDE:
        side, scales = side // 2, scales + 1
    return scales


def patch_distances(generated: NDArray[np.uint8], data: NDArray[np.uint8]) -> list[float]:
    """Return the distance at each scale, from the finest, times 1,000 as usual.

    Both sets are reduced to the same number of images, at most 2,000, by the draw `draw-v1`. The patches
    and directions are fixed, and the same for both sets.

    Args:
        generated: uint8[n, channels, height, width].
        data: uint8[m, channels, height, width].
    """
    n = min(len(generated), len(data), _MAX_IMAGES)
    scales = num_scales(*data.shape[2:])
    pairs = zip(*(_pyramid(images[draw_order(images)[:n]], scales) for images in (generated, data)), strict=True)
    return [1e3 * _distance(a, b, scale) for scale, (a, b) in enumerate(pairs)]


def sliced_wasserstein(a: NDArray[np.float64], b: NDArray[np.float64], directions: NDArray[np.float64]) -> float:
    """Return the mean over directions of the 1-D Wasserstein distance of order 1.

    Args:
        a: float64[n, d].
        b: float64[n, d].
        directions: float64[d, k], unit vectors.
    """
    return float(np.abs(np.sort(a @ directions, axis=0) - np.sort(b @ directions, axis=0)).mean())


def _distance(a: NDArray[np.float64], b: NDArray[np.float64], scale: int) -> float:
    x, y = (_patches(images, np.random.Generator(np.random.Philox(key=2 * scale))) for images in (a, b))
    directions = np.random.Generator(np.random.Philox(key=2 * scale + 1)).standard_normal((x.shape[1], NUM_DIRECTIONS))
    return sliced_wasserstein(x, y, directions / np.linalg.norm(directions, axis=0))


def _patches(images: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Return random patches, each channel normalized over the set, float64[n * 32, channels * 49]."""
    n, channels, height, width = images.shape
    rows = np.repeat(np.arange(n), _PATCHES_PER_IMAGE)
    top = random.integers(0, height - PATCH + 1, len(rows))
    left = random.integers(0, width - PATCH + 1, len(rows))
    offsets = np.arange(PATCH)
    patches = images[rows[:, None, None], :, (top[:, None] + offsets)[:, :, None], (left[:, None] + offsets)[:, None, :]]
    mean, std = patches.mean(axis=(0, 1, 2)), patches.std(axis=(0, 1, 2))
    return np.asarray(((patches - mean) / np.where(std > 0, std, 1)).reshape(len(rows), channels * PATCH * PATCH))


def _pyramid(images: NDArray[np.uint8], scales: int) -> list[NDArray[np.float64]]:
    levels = []
    current = images.astype(np.float64) / 255
    for _ in range(scales - 1):
        smaller = _smooth(current)[:, :, ::2, ::2]
        larger = np.zeros_like(current)
        larger[:, :, ::2, ::2] = smaller
        levels.append(current - 4 * _smooth(larger))
        current = smaller
    return [*levels, current]


def _smooth(images: NDArray[np.float64]) -> NDArray[np.float64]:
    for axis in (2, 3):
        images = ndimage.convolve1d(images, _TAPS, axis=axis, mode="mirror")
    return images
