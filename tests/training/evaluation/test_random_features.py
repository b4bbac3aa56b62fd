import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from seedmint.training.evaluation.metrics.frechet import frechet
from seedmint.training.evaluation.random_features import random_features, random_weights

RANDOM = np.random.default_rng(0)


def features_in_numpy(images):
    hidden, features = images.astype(np.float64) / 127.5 - 1, []
    for layer, weight in enumerate(random_weights(images.shape[1])):
        if layer:
            n, c, h, w = hidden.shape
            hidden = hidden.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))
        windows = sliding_window_view(np.pad(hidden, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))
        hidden = np.einsum("nchwij,ocij->nohw", windows, weight.astype(np.float64))
        hidden = np.where(hidden > 0, hidden, 0.2 * hidden)
        features += [hidden.mean(axis=(2, 3)), hidden.std(axis=(2, 3))]
    return np.concatenate(features, axis=1)


def test_the_features_are_those_of_an_independent_network():
    images = RANDOM.integers(0, 256, (3, 3, 16, 8), dtype=np.uint8)
    np.testing.assert_allclose(random_features(images), features_in_numpy(images), atol=2e-4)


def test_the_weights_are_fixed_and_normal():
    first, second, *_ = random_weights(3)
    assert first.shape == (16, 3, 3, 3)
    np.testing.assert_array_equal(first, random_weights(3)[0])
    assert abs(second.std() - np.sqrt(2 / (9 * 16))) < 0.005


def test_the_distance_sees_speckles():
    def blobs():
        coarse = RANDOM.uniform(30, 220, (300, 3, 5, 5))
        return np.rint(ndimage.zoom(coarse, (1, 1, 16 / 5, 16 / 5), order=1)).astype(np.uint8)

    data, same = blobs(), blobs()
    speckled = np.clip(same + RANDOM.normal(0, 20, same.shape), 0, 255).astype(np.uint8)
    a, b, c = (random_features(images) for images in (data, same, speckled))
    assert frechet(c, a) > 2 * frechet(b, a)
