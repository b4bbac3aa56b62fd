import numpy as np
import pytest

from seedmint.training.evaluation.metrics.spectrum import radial_spectrum, spectrum_difference

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 12, 9), dtype=np.uint8)


def spectrum_by_loops(images):
    """The definition: the sum over all coefficients of the complete transform, one at a time."""
    _, _, height, width = images.shape
    side = min(height, width)
    rows, columns = np.arange(height), np.arange(width)
    total, count = np.zeros(side // 2 + 1), np.zeros(side // 2 + 1)
    for v in range(height):
        for u in range(width):
            wave = np.exp(-2j * np.pi * (v * rows[:, None] / height + u * columns / width))
            energy = np.mean(np.abs((images / 255 * wave).sum(axis=(2, 3)) / (height * width)) ** 2)
            down, right = min(v, height - v) / height, min(u, width - u) / width
            band = round(float(np.hypot(down, right)) * side)
            if band <= side // 2:
                total[band] += energy
                count[band] += 1
    return (total / count)[1:]


@pytest.mark.parametrize("shape", [(12, 9), (9, 12), (8, 8), (7, 7)])
def test_the_spectrum_is_that_of_the_definition(shape):
    images = IMAGES[:, :, : shape[0], : shape[1]] if shape[1] <= 9 else IMAGES.transpose(0, 1, 3, 2)
    np.testing.assert_allclose(radial_spectrum(images), spectrum_by_loops(images), rtol=1e-9)


def test_a_wave_has_energy_at_its_frequency_only():
    wave = np.rint(127.5 + 100 * np.cos(2 * np.pi * 3 * np.arange(16) / 16)).astype(np.uint8)
    spectrum = radial_spectrum(np.broadcast_to(wave, (2, 1, 16, 16)))
    assert spectrum.argmax() == 2  # frequency 3
    assert spectrum[2] > 1000 * np.delete(spectrum, 2).max()


def test_speckles_and_blur_have_opposite_signs():
    rough = np.random.default_rng(1).integers(0, 256, (50, 1, 16, 16), dtype=np.uint8)
    smooth = ((rough.astype(int) + np.roll(rough, 1, 2) + np.roll(rough, 1, 3) + np.roll(rough, (1, 1), (2, 3))) // 4).astype(
        np.uint8
    )
    data, other = radial_spectrum(smooth), radial_spectrum(rough)
    assert spectrum_difference(data, data) == (0, 0)
    assert spectrum_difference(other, data)[1] > 1
    assert spectrum_difference(data, other)[1] < -0.5
    assert spectrum_difference(2 * data, data) == pytest.approx((1, 1))
