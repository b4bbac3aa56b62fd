"""The energy of images at each spatial frequency, compared with the data's.

Upsampling leaves speckles and checkerboards: too much energy at the highest frequencies, which the features of a classifier
hardly see. The energy at a frequency is the mean squared absolute value of the 2-D Fourier coefficients at this distance from
frequency 0, over all channels and images.
"""

import numpy as np
from numpy.typing import NDArray

_BLOCK = 256  # images at once


def radial_spectrum(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean energy at each radial frequency, without frequency 0.

    Each axis is measured in cycles per image of the shorter side. Band k holds the coefficients whose distance from frequency 0
    rounds to k.

    Args:
        images: uint8[n, channels, height, width].

    Returns:
        float64[min(height, width) // 2], for frequencies 1, 2, ... up to the Nyquist frequency of the shorter side.
    """
    _, _, height, width = images.shape
    side = min(height, width)
    down, right = np.fft.fftfreq(height) * side, np.fft.rfftfreq(width) * side
    band = np.rint(np.hypot(down[:, None], right)).astype(np.int64)
    # A real image's coefficients come in pairs; `rfft2` returns one of each pair, except in the first and the last column.
    pairs = np.where((np.arange(len(right)) == 0) | ((width % 2 == 0) & (np.arange(len(right)) == len(right) - 1)), 1.0, 2.0)
    weight = np.broadcast_to(pairs, band.shape)
    energy = np.zeros(band.shape)
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK].astype(np.float64) / 255
        energy += (np.abs(np.fft.rfft2(block)) ** 2).sum(axis=(0, 1))
    energy /= len(images) * images.shape[1] * (height * width) ** 2
    bands = side // 2
    total = np.bincount(band.ravel(), (energy * weight).ravel(), bands + 1)[1 : bands + 1]
    count = np.bincount(band.ravel(), weight.ravel(), bands + 1)[1 : bands + 1]
    return np.asarray(total / count)


def spectrum_difference(generated: NDArray[np.float64], data: NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean and the highest band's relative difference of two spectra.

    Args:
        generated: Spectrum of generated images.
        data: Spectrum of the data.

    Returns:
        The mean of |generated / data - 1| over all bands, and generated / data - 1 of the upper quarter of the bands, signed:
        above 0 for speckles, below 0 for blur. Bands without energy in the data are left out.
    """
    known = data > 0
    ratio = generated[known] / data[known] - 1
    upper = slice(len(data) - max(1, len(data) // 4), None)
    top = generated[upper].sum() / data[upper].sum() - 1 if data[upper].sum() > 0 else 0.0
    return float(np.abs(ratio).mean()) if known.any() else 0.0, float(top)
