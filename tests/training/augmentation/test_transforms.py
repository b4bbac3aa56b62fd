"""The transforms of DiffAugment and ADA, one at a time, compared with their definitions."""

import numpy as np
import pytest
import torch

from seedmint.training.augmentation import ada_transforms
from seedmint.training.augmentation.ada_transforms import AdaTransforms
from seedmint.training.augmentation.diffaugment import change_color, cut_out, diffaugment, translate

ALWAYS, NEVER = torch.tensor(1.0), torch.tensor(0.0)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_translation_moves_whole_pixels_by_up_to_an_eighth():
    x = torch.rand(200, 2, 16, 24)
    moved, shifts = translate(x), set()
    for before, after in zip(x, moved, strict=True):
        padded = torch.nn.functional.pad(before, (3, 3, 2, 2), value=0.5)
        candidates = {(dy, dx): padded[:, 2 - dy : 18 - dy, 3 - dx : 27 - dx] for dy in range(-2, 3) for dx in range(-3, 4)}
        found = [shift for shift, image in candidates.items() if torch.equal(image, after)]
        assert len(found) == 1
        shifts |= set(found)
    assert len(shifts) > 30  # of 35


def test_cutout_covers_a_rectangle_of_at_most_half_the_sides():
    x = torch.zeros(200, 1, 16, 8)
    covered = cut_out(x)[:, 0] == 0.5
    heights, widths = covered.any(dim=2).sum(dim=1), covered.any(dim=1).sum(dim=1)
    assert torch.equal(covered.sum(dim=(1, 2)), heights * widths)
    assert (int(heights.max()), int(widths.max())) == (8, 4)
    assert bool(covered.any(dim=0).all()), "every pixel can be covered"


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_color_changes_are_affine_and_within_their_ranges(channels):
    x = torch.rand(300, channels, 4, 4)
    changed = change_color(x)
    brightness = changed.mean(dim=(1, 2, 3)) - x.mean(dim=(1, 2, 3))
    assert -0.25 <= float(brightness.min()) < -0.2 < 0.2 < float(brightness.max()) <= 0.25
    gray, new_gray = x.mean(dim=1), changed.mean(dim=1)
    contrast = (new_gray[:, 0, 0] - new_gray[:, 1, 1]) / (gray[:, 0, 0] - gray[:, 1, 1])
    usual = (gray[:, 0, 0] - gray[:, 1, 1]).abs() > 0.1
    assert 0.49 <= float(contrast[usual].min()) < 0.55 < 1.45 < float(contrast[usual].max()) <= 1.51


def test_each_image_has_its_own_random_numbers():
    x = torch.rand(1, 3, 16, 16).expand(8, 3, 16, 16)
    for name in ("color", "translation", "cutout"):
        assert len({image.numpy().tobytes() for image in diffaugment(x, [name])}) > 1, name


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_p_0_changes_nothing_and_p_1_changes_everything(channels):
    x = torch.rand(16, channels, 12, 20)
    transforms = AdaTransforms(None, channels)
    torch.testing.assert_close(transforms(x, NEVER), x, rtol=1e-5, atol=1e-5)
    assert bool(((transforms(x, ALWAYS) - x).abs().amax(dim=(1, 2, 3)) > 0.01).all())


def test_p_is_the_share_of_changed_images():
    x = torch.rand(1000, 1, 4, 4)
    changed = ((AdaTransforms(["contrast"], 1)(x, torch.tensor(0.3)) - x).abs().amax(dim=(1, 2, 3)) > 1e-5).float()
    assert float(changed.mean()) == pytest.approx(0.3, abs=0.05)


def test_flips_and_quarter_turns_move_whole_pixels():
    x = torch.rand(40, 2, 6, 6)
    for name, choices in (("flip", [x, x.flip(3)]), ("rotate90", [torch.rot90(x, turns, (2, 3)) for turns in range(4)])):
        moved = AdaTransforms([name], 2)(x, ALWAYS)
        distances = torch.stack([(moved - choice).abs().amax(dim=(1, 2, 3)) for choice in choices])
        assert float(distances.amin(dim=0).max()) < 1e-4
        assert set(distances.argmin(dim=0).tolist()) == set(range(len(choices)))


def test_rotation_of_an_oblong_image_keeps_distances():
    """A dot at distance 4 from the center stays at this distance, in pixels. Farther out, reflections can repeat it."""
    x = torch.zeros(100, 1, 21, 41)
    x[:, 0, 10, 24] = 1.0
    rows, columns = torch.meshgrid(torch.arange(21.0) - 10, torch.arange(41.0) - 20, indexing="ij")
    moved = AdaTransforms(["rotate"], 1)(x, ALWAYS)[:, 0] * (torch.hypot(rows, columns) < 7)
    total = moved.sum(dim=(1, 2))
    distance = torch.hypot((moved * rows).sum(dim=(1, 2)) / total, (moved * columns).sum(dim=(1, 2)) / total)
    assert distance.tolist() == pytest.approx([4.0] * 100, abs=0.15)


def test_color_transforms_keep_what_they_should_keep():
    x = torch.rand(20, 4, 3, 3)
    gray = x[:, :3].mean(dim=1)
    for name in ("hue", "saturation", "luma_flip", "brightness", "contrast"):
        changed = AdaTransforms([name], 4)(x, ALWAYS)
        assert torch.equal(changed[:, 3], x[:, 3]), "the opacity"
        new_gray = changed[:, :3].mean(dim=1)
        if name in ("hue", "saturation"):
            torch.testing.assert_close(new_gray, gray, rtol=1e-4, atol=1e-4)
        if name == "hue":
            saturation, new_saturation = ((y[:, :3] - y[:, :3].mean(1, keepdim=True)).norm(dim=1) for y in (x, changed))
            torch.testing.assert_close(new_saturation, saturation, rtol=1e-3, atol=1e-4)
        if name == "luma_flip":
            is_kept = torch.isclose(new_gray, gray, atol=1e-4).all(dim=(1, 2))
            is_flipped = torch.isclose(new_gray, 1 - gray, atol=1e-4).all(dim=(1, 2))
            assert bool((is_kept | is_flipped).all())
            assert bool(is_kept.any())
            assert bool(is_flipped.any())


def test_gray_images_change_like_gray_images_in_color():
    x = torch.rand(30, 1, 5, 5)
    for name in ("brightness", "contrast", "luma_flip"):
        torch.manual_seed(1)
        gray = AdaTransforms([name], 1)(x, ALWAYS)
        torch.manual_seed(1)
        color = AdaTransforms([name], 3)(x.expand(-1, 3, -1, -1), ALWAYS)
        torch.testing.assert_close(gray.expand(-1, 3, -1, -1), color, rtol=1e-4, atol=1e-4)


def test_sampling_can_be_differentiated_twice():
    x = torch.rand(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    grid = torch.rand(2, 4, 5, 2, dtype=torch.float64) * 2.4 - 1.2

    def sample(images):
        return ada_transforms._Sample.apply(images, grid)

    assert torch.autograd.gradcheck(sample, (x,))
    assert torch.autograd.gradgradcheck(lambda images: sample(images).square(), (x,))


def test_gradients_flow_through_diffaugment():
    x = torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)

    def augment(images):
        torch.manual_seed(5)
        return diffaugment(images, ["color", "translation", "cutout"])

    assert torch.autograd.gradcheck(augment, (x,))
    np.testing.assert_array_equal(augment(x).detach().shape, x.shape)
