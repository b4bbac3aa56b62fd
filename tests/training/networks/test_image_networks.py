import numpy as np
import pytest
import torch
from torch import nn

from seedmint.models.errors import UserError
from seedmint.training.networks import build_networks
from seedmint.training.networks.convolutional import ConditionalBatchNorm
from seedmint.training.networks.linear import Linear
from seedmint.training.recipes.schema import validate_recipe
from tests.support.errors import raises
from tests.support.recipes import recipe_document


def networks(kind, shape, classes=0, **fields):
    document = recipe_document(generator={"kind": kind, **fields}, discriminator={"kind": kind}, z_dim=6)
    return build_networks(validate_recipe(document, "test"), torch.full(shape, 0.25), classes)


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 9, 15, 28, 33, 64, 128])
@pytest.mark.parametrize("fields", [{}, {"upsampling": "bilinear"}, {"upsampling": "bilinear", "style_dim": 3}], ids=str)
def test_convolutional_networks_support_squares_of_8_to_128_pixels(fields, side, channels, classes):
    generator, discriminator = networks("convolutional", (channels, side, side), classes, width=2, **fields)
    label = torch.arange(5) % classes if classes else None
    images = generator(torch.randn(5, 6), label)
    assert images.shape == (5, channels, side, side)
    assert float(images.detach().min()) >= 0
    assert float(images.detach().max()) <= 1
    logits = discriminator(images, label)
    assert logits.shape == (5,)
    logits.sum().backward()
    unused = [name for name, p in generator.named_parameters() if p.grad is None]
    assert unused == []


@pytest.mark.parametrize("classes", [0, 3])
def test_paper_networks_support_any_shape(classes):
    generator, discriminator = networks("paper", (3, 5, 7), classes, width=10)
    label = torch.arange(4) % classes if classes else None
    images = generator(torch.randn(4, 6), label)
    assert images.shape == (4, 3, 5, 7)
    assert discriminator(images, label).shape == (4,)


def test_paper_networks_have_the_layers_and_initial_weights_of_the_paper():
    document = recipe_document(generator={"kind": "paper"}, discriminator={"kind": "paper"}, z_dim=100)
    generator, discriminator = build_networks(validate_recipe(document, "test"), torch.full((1, 28, 28), 0.25), 0)
    assert [tuple(p.shape) for p in generator.parameters() if p.ndim == 2] == [(1200, 100), (1200, 1200), (784, 1200)]
    assert [tuple(p.shape) for p in discriminator.parameters() if p.ndim == 2] == [(1200, 784), (1200, 240), (1, 240)]
    for network, bound in ((generator, 0.05), (discriminator, 0.005)):
        for weight in (p for p in network.parameters() if p.ndim == 2):
            assert float(weight.detach().abs().max()) <= bound * (1 + 1e-6)  # float32
            assert float(weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.1)
    assert float(generator(torch.zeros(1, 100)).detach().mean()) == pytest.approx(0.25, abs=1e-6)  # the mean image


def test_maxout_matches_numpy():
    _, discriminator = networks("paper", (1, 4, 4))
    discriminator.eval()
    x = torch.rand(3, 1, 4, 4)
    h = x.flatten(1).numpy()
    for layer in discriminator.layers:
        h = (h @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()).reshape(3, 5, 240).max(axis=1)
    expected = h @ discriminator.output.weight.detach().numpy().T + discriminator.output.bias.detach().numpy()
    np.testing.assert_allclose(discriminator(x).detach().numpy(), expected[:, 0], rtol=1e-4, atol=1e-7)


def test_dropout_rates_of_the_paper():
    _, discriminator = networks("paper", (1, 28, 28))
    zero_shares = {}

    def record_zeros(module, inputs, _output):
        zero_shares[module] = float((inputs[0] == 0).float().mean())

    for layer in (*discriminator.layers, discriminator.output):
        layer.register_forward_hook(record_zeros)
    discriminator(torch.rand(200, 1, 28, 28) + 0.01)
    assert list(zero_shares.values()) == pytest.approx([0.2, 0.5, 0.5], abs=0.02)


RESIDUAL_SHAPES = [
    *[(1, 8, 8), (1, 28, 28), (3, 32, 48), (4, 15, 9), (3, 8, 100), (1, 65, 40)],
    pytest.param((3, 512, 512), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("shape", RESIDUAL_SHAPES)
def test_residual_networks_support_images_of_8_to_512_pixels(shape, classes):
    small = {"kind": "residual", "capacity": "small", "width": 4, "max_width": 8}
    recipe = validate_recipe(recipe_document(generator=small, discriminator=small, z_dim=6), "test")
    generator, discriminator = build_networks(recipe, torch.full(shape, 0.25), classes)
    label = torch.arange(3) % classes if classes else None
    images = generator(torch.randn(3, 6), label)
    assert images.shape == (3, *shape)
    assert float(images.detach().min()) >= 0
    assert float(images.detach().max()) <= 1
    images.retain_grad()
    logits = discriminator(images, label)
    assert logits.shape == (3,)
    logits.sum().backward()
    assert [name for net in (generator, discriminator) for name, p in net.named_parameters() if p.grad is None] == []
    seen = images.grad.abs().sum(dim=(0, 1))
    assert bool((seen > 0).all()), "D sees every pixel"
    assert max(p.shape[1] for p in generator.parameters() if p.ndim == 4) == 8


def test_residual_networks_use_no_statistics_of_the_minibatch():
    generator, discriminator = networks("residual", (1, 12, 20), classes=2, capacity="small")
    randomize(generator)
    z, label = torch.randn(6, 6), torch.arange(6) % 2
    images = generator(z, label)  # in training mode
    torch.testing.assert_close(images[2:3], generator(z[2:3], label[2:3]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(discriminator(images, label)[2:3], discriminator(images[2:3], label[2:3]), rtol=1e-4, atol=1e-5)


def test_bilinear_interpolation_leaves_no_checkerboard():
    """Constant features give a constant image inside the borders; with transposed convolutions, they give a checkerboard."""
    spreads = {}
    cases = {
        "residual": {"kind": "residual", "capacity": "small", "width": 4},
        "transposed": {"kind": "convolutional", "width": 4},
        "bilinear": {"kind": "convolutional", "width": 4, "upsampling": "bilinear"},
    }
    for name, fields in cases.items():
        torch.manual_seed(0)
        generator, _ = networks(shape=(1, 28, 28), **fields)
        generator.eval()
        randomize(generator)
        with torch.no_grad():
            channels, height, width = generator.start
            rows = torch.randn(channels, 1, 6).expand(-1, height * width, -1)
            generator.input.weight.copy_(rows.reshape(-1, 6))
            inside = generator(torch.randn(1, 6))[0, 0, 12:16, 12:16].logit()
        spreads[name] = float(inside.max() - inside.min())
    assert max(spreads["residual"], spreads["bilinear"]) < 1e-3 < 0.05 < spreads["transposed"]


def randomize(network):
    """Replace the weights that start at zero."""
    for parameter in network.parameters():
        if parameter.ndim == 4 and not bool(parameter.any()):
            nn.init.normal_(parameter, 0.0, 0.3)


def test_widths_double_up_to_their_limit():
    generator, _ = networks("convolutional", (1, 64, 64), width=8, max_width=16)
    assert [layer.weight.shape[0] for layer in generator.steps] == [16, 16, 16]


@pytest.mark.parametrize("kind", ["paper", "convolutional", "residual"])
def test_label_changes_image_and_logit(kind):
    generator, discriminator = networks(kind, (1, 8, 8), classes=2)
    generator.eval(), discriminator.eval()
    for module in generator.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight)
    z, x = torch.randn(1, 6), torch.rand(1, 1, 8, 8)
    one, two = torch.tensor([0]), torch.tensor([1])
    assert not torch.equal(generator(z, one), generator(z, two))
    assert not torch.equal(discriminator(x, one), discriminator(x, two))


@pytest.mark.parametrize("classes", [0, 2])
def test_a_style_scales_and_shifts_normalized_features(classes):
    norm = ConditionalBatchNorm(3, classes, style_dim=2).double().eval()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    h, style, label = torch.randn(4, 3, 5, 5), torch.randn(4, 2), torch.tensor([1, 0, 1, 1]) if classes else None
    both = style.double() @ norm.style.weight.T + norm.style.bias
    gain, bias = both[:, :3], both[:, 3:]
    if classes:
        gain, bias = gain + norm.gain.weight[label], bias + norm.bias.weight[label]
    expected = h.double() / (1 + norm.norm.eps) ** 0.5 * gain[:, :, None, None] + bias[:, :, None, None]
    torch.testing.assert_close(norm(h.double(), label, style.double()), expected)


@pytest.mark.parametrize("classes", [0, 2])
def test_a_style_begins_as_a_gain_of_about_one(classes):
    norm = ConditionalBatchNorm(8, classes, style_dim=64)
    h, style, label = torch.randn(512, 8, 3, 3), torch.randn(512, 64), torch.arange(512) % 2 if classes else None
    ratio = norm(h, label, style).detach().std() / h.std()
    assert 1 < float(ratio) < 1.3  # the gains have variance 1/4, and so have the biases: (1 + 1/4 + 1/4) ** 0.5 = 1.22


@pytest.mark.parametrize("fields", [{}, {"upsampling": "bilinear"}, {"style_dim": 3}], ids=str)
def test_images_do_not_depend_on_their_batch_in_evaluation_mode(fields):
    generator, _ = networks("convolutional", (1, 16, 16), classes=2, width=4, **fields)
    generator.eval()
    z, label = torch.randn(6, 6), torch.arange(6) % 2
    torch.testing.assert_close(generator(z, label)[2:3], generator(z[2:3], label[2:3]))


@pytest.mark.parametrize("shape", [(1, 7, 7), (1, 129, 129), (1, 28, 30)])
def test_unsupported_shapes_are_refused(shape):
    with raises(UserError, "unsupported_shape", "generator.kind"):
        networks("convolutional", shape)


@pytest.mark.parametrize("shape", [(1, 7, 20), (3, 20, 513), (5,), (64, 1)])
def test_shapes_that_residual_networks_do_not_support_are_refused(shape):
    with raises(UserError, "unsupported_shape", "generator.kind"):
        networks("residual", shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_layer_and_its_gradients_are_matrix_products(dtype):
    layer, x, slope = Linear(33, 21).to(dtype), torch.randn(17, 33, dtype=dtype, requires_grad=True), torch.randn(17, 21)
    w, b, g = (t.detach().double() for t in (layer.weight, layer.bias, slope))
    result = layer(x)
    found = torch.autograd.grad(result, (x, layer.weight, layer.bias), slope.to(dtype))
    expected = (x.detach().double() @ w.T + b, g @ w, g.T @ x.detach().double(), g.sum(0))
    for ours, theirs in zip((result, *found), expected, strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.detach().double(), theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer.eval()(x), result, rtol=1e-5, atol=1e-5)
