"""Images with an alpha channel."""

import io

import numpy as np
import pytest
from PIL import Image

from seedmint.service.encoders.images import contact_sheet, encode


@pytest.mark.parametrize("size", [4, 40, 300])
@pytest.mark.parametrize("form", ["png", "webp", "npy"])
def test_pixels_with_alpha_are_kept(form, size):
    image = np.random.RandomState(0).randint(0, 256, (size, size + 3, 4), np.uint8)
    image[: size // 2, :, 3] = 0
    data = io.BytesIO(encode(image, form))
    decoded = np.load(data) if form == "npy" else np.asarray(Image.open(data))
    np.testing.assert_array_equal(decoded, image)


def test_contact_sheet_has_opaque_gaps():
    sheet = contact_sheet(np.zeros((4, 2, 2, 4), np.uint8), 2)
    assert sheet.shape == (6, 6, 4)
    assert (sheet[2:4] == 255).all()
