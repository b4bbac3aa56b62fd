"""Images enlarged and arranged in a grid."""

import numpy as np

from seedmint.models.grid import arrange, enlarge


def test_enlarge_repeats_pixels():
    expected = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    image = np.array([[[1], [2]], [[3], [4]]], np.uint8)
    assert enlarge(image, 2)[:, :, 0].tolist() == expected
    assert enlarge(np.stack([image, image]), 2)[1, :, :, 0].tolist() == expected
    assert enlarge(image, 1).tolist() == image.tolist()


def test_arrange_fills_rows_and_leaves_the_rest_at_the_level_of_the_gaps():
    images = np.arange(5 * 2 * 1 * 3, dtype=np.uint8).reshape(5, 2, 1, 3)
    picture = arrange(images, columns=2, gap=3, level=200)
    assert picture.shape == (3 * 5 - 3, 2 * 4 - 3, 3)
    for i, image in enumerate(images):
        top, left = i // 2 * 5, i % 2 * 4
        np.testing.assert_array_equal(picture[top : top + 2, left : left + 1], image)
        picture[top : top + 2, left : left + 1] = 200
    assert (picture == 200).all()


def test_arrange_has_no_empty_columns():
    assert arrange(np.zeros((2, 4, 4, 1), np.uint8), columns=9, gap=1, level=0).shape == (4, 9, 1)
