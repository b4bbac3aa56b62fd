"""The networks for samples: shapes, labels and errors."""

import numpy as np
import pytest
import torch

from seedmint.models.errors import UserError
from seedmint.training.networks import build_networks
from seedmint.training.recipes.schema import validate_recipe
from tests.support.errors import raises
from tests.support.recipes import recipe_document


def networks(kind, shape, classes=0, **fields):
    document = recipe_document(generator={"kind": kind, **fields}, discriminator={"kind": kind, **fields}, z_dim=6)
    return build_networks(validate_recipe(document, "test"), torch.zeros(shape), classes)


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        *[("mlp", shape) for shape in [(1,), (2,), (17,), (9, 2)]],
        *[("sequence", (length, channels)) for length in (8, 9, 15, 64, 100) for channels in (1, 3)],
    ],
)
def test_networks_support_any_shape(kind, shape, classes):
    generator, discriminator = networks(kind, shape, classes, width=4)
    label = torch.arange(5) % classes if classes else None
    samples = generator(torch.randn(5, 6), label)
    assert samples.shape == (5, *shape)
    logits = discriminator(samples, label)
    assert logits.shape == (5,)
    logits.sum().backward()
    unused = [name for pair in (generator, discriminator) for name, p in pair.named_parameters() if p.grad is None]
    assert unused == []


def test_mlp_matches_numpy():
    generator, discriminator = networks("mlp", (3,), classes=2, width=8, layers=2)
    for layer in (*generator.layers, *discriminator.layers):
        torch.nn.init.normal_(layer.bias)
    z, label = torch.randn(4, 6), torch.tensor([0, 1, 1, 0])
    h = np.concatenate([z.numpy(), np.eye(2)[label]], axis=1)
    parameters = [p.detach().numpy().astype(np.float64) for p in generator.parameters()]
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        h = np.maximum(h @ weight.T + bias, 0)
    x = h @ parameters[-2].T + parameters[-1]
    np.testing.assert_allclose(generator(z, label).detach().numpy(), x, rtol=1e-4, atol=1e-5)
    h = np.concatenate([x, np.eye(2)[label]], axis=1)
    parameters = [p.detach().numpy().astype(np.float64) for p in discriminator.parameters()]
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        h = h @ weight.T + bias
        h = np.where(h > 0, h, 0.2 * h)
    logits = (h @ parameters[-2].T + parameters[-1])[:, 0]
    found = discriminator(torch.from_numpy(x).float(), label).detach().numpy()
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-5)


def test_octaves_match_numpy():
    document = recipe_document(
        generator={"kind": "mlp"}, discriminator={"kind": "mlp", "width": 8, "layers": 1, "octaves": 3}, z_dim=6
    )
    _, discriminator = build_networks(validate_recipe(document, "test"), torch.zeros(2), 2)
    x, label = torch.randn(4, 2), torch.tensor([0, 1, 1, 0])
    phases = x.numpy().astype(np.float64)[:, :, None] * [2, 4, 8]
    amplitudes = [2**-0.5, 0.5, 8**-0.5]
    features = [(function(phases) * amplitudes).reshape(4, 6) for function in (np.sin, np.cos)]
    h = np.concatenate([x.numpy(), *features, np.eye(2)[label]], axis=1)
    weight, _, last, _ = (p.detach().numpy().astype(np.float64) for p in discriminator.parameters())
    assert weight.shape == (8, 2 * (1 + 2 * 3) + 2)
    h = h @ weight.T
    logits = (np.where(h > 0, h, 0.2 * h) @ last.T)[:, 0]
    np.testing.assert_allclose(discriminator(x, label).detach().numpy(), logits, rtol=1e-4, atol=1e-5)


def test_octaves_need_rows():
    document = recipe_document(generator={"kind": "mlp"}, discriminator={"kind": "mlp", "octaves": 1}, z_dim=6)
    with raises(UserError, "unsupported_shape", "discriminator.octaves"):
        build_networks(validate_recipe(document, "test"), torch.zeros(9, 2), 0)


@pytest.mark.parametrize(("kind", "shape"), [("mlp", (2,)), ("sequence", (16, 1))])
def test_label_changes_sample_and_logit(kind, shape):
    generator, discriminator = networks(kind, shape, classes=2)
    generator.eval(), discriminator.eval()
    z, x = torch.randn(1, 6), torch.randn(1, *shape)
    one, two = torch.tensor([0]), torch.tensor([1])
    assert not torch.equal(generator(z, one), generator(z, two))
    assert not torch.equal(discriminator(x, one), discriminator(x, two))


def test_first_layer_of_sequence_d_is_local():
    """A change at step 40 of 64 affects only the outputs of the first layer of D whose kernels cover the step."""
    _, discriminator = networks("sequence", (64, 1), width=4)
    x = torch.randn(1, 64, 1)
    changed = x.clone()
    changed[0, 40] += 1
    layer = discriminator.steps[0]
    difference = (layer(x.transpose(1, 2)) - layer(changed.transpose(1, 2))).abs().sum(dim=(0, 1))
    assert difference.nonzero().flatten().tolist() == [18, 19, 20, 21]


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        *[("paper", (2,)), ("convolutional", (64, 1)), ("mlp", (1, 8, 8)), ("sequence", (1, 8, 8))],
        *[("sequence", (7,)), ("sequence", (7, 1))],
    ],
)
def test_unsupported_shapes_are_refused(kind, shape):
    with raises(UserError, "unsupported_shape", "generator.kind"):
        networks(kind, shape)
