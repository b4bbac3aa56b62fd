"""The icons that the code draws."""

import hashlib

import numpy as np
import pytest

from seedmint.models.errors import UserError
from seedmint.training.datasets.icons.drawing import NUMBERS, Drawing
from seedmint.training.datasets.icons.icons import CLASSES, load_icons
from seedmint.training.datasets.icons.shapes import common, union
from seedmint.training.recipes.files import load_recipe
from tests.support.errors import raises


@pytest.fixture(scope="module")
def held_out():
    return load_icons("test")


def frame_of_whole_icon():
    """A drawing whose square is almost the icon, not mirrored."""
    numbers = np.zeros((1, NUMBERS), dtype=np.float32)
    return Drawing(numbers, largest=1.0).frame


def test_icons_have_the_same_bytes_on_every_machine(held_out):
    assert held_out.images.shape == (12_000, 3, 32, 32)
    digest = hashlib.sha256(held_out.images[:120].tobytes()).hexdigest()
    assert (digest, held_out.digest) == (
        "5670f8e8c0fe6ee7703c760529d34662177b0847bf33565f1b6677abfe15e3ab",
        "68b34a44232562eceb819da2f9a9a04f7e17b396b96801768bd9777d8d041d17",
    )


def test_classes_are_equally_frequent_and_in_turn(held_out):
    assert held_out.class_counts() == (1000,) * 12
    assert held_out.labels[:13].tolist() == [*range(12), 0]
    assert held_out.classes == CLASSES == tuple(sorted(CLASSES))


def test_icons_of_a_class_differ_in_color_and_place(held_out):
    for label in range(12):
        images = held_out.images[label::12][:20]
        assert len({image.tobytes() for image in images}) == 20
        assert images.std(axis=0).mean() > 10  # gray levels


def test_shapes_cover_their_area():
    """The sum of the covered parts is the area of the shape, in pixels."""
    frame = frame_of_whole_icon()
    pixels = 32.0 * 32.0
    circle = frame.circle((0.5, 0.5), 0.3)
    assert frame.coverage(circle).sum() == pytest.approx(np.pi * 0.3**2 * pixels, rel=0.01)
    assert frame.coverage(frame.ellipse((0.5, 0.5), 0.4, 0.2)).sum() == pytest.approx(np.pi * 0.4 * 0.2 * pixels, rel=0.02)
    box = frame.box(0.1, 0.2, 0.6, 0.8)
    assert frame.coverage(box).sum() == pytest.approx(0.5 * 0.6 * pixels, rel=0.01)
    triangle = frame.polygon((0.1, 0.9), (0.5, 0.1), (0.9, 0.9))
    assert frame.coverage(triangle).sum() == pytest.approx(0.5 * 0.8 * 0.8 * pixels, rel=0.02)
    stroke = frame.stroke((0.2, 0.5), (0.8, 0.5), 0.05)
    assert frame.coverage(stroke).sum() == pytest.approx((0.6 * 0.1 + np.pi * 0.05**2) * pixels, rel=0.03)
    both, either = (frame.coverage(shape).sum() for shape in (common(circle, box), union(circle, box)))
    assert both + either == pytest.approx(frame.coverage(circle).sum() + frame.coverage(box).sum(), rel=0.01)


def test_icons_have_no_path():
    with raises(UserError, "invalid_recipe", "data"):
        load_recipe("icons", ["data.path=folder"])
