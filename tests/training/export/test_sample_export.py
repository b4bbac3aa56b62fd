"""A generator file that outputs samples also converts them to the units of the data and rounds them."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from seedmint.models.card import Card, Noise, SampleOutput
from seedmint.models.contract import ContractError, check_contract
from seedmint.models.noise import labels_of, noise
from seedmint.models.provenance import Provenance
from seedmint.models.runtime.reference import compute_reference
from seedmint.training.datasets.scaling import MAX_UNITS, Scaling
from seedmint.training.export.onnx_export import ExportError, export_generator, verify_export
from seedmint.training.export.served_generator import ServedGenerator
from seedmint.training.networks import build_networks
from seedmint.training.recipes.schema import validate_recipe
from tests.support.errors import raises
from tests.support.recipes import recipe_document

SEEDS = np.array([5, 2**62, 7, 0], dtype=np.int64)


def generator_and_card(kind, shape, scaling, classes=0):
    torch.manual_seed(0)
    document = recipe_document(generator={"kind": kind, "width": 8}, discriminator={"kind": kind}, z_dim=10)
    generator, _ = build_networks(validate_recipe(document, "test"), torch.zeros(shape), classes)
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    output = SampleOutput(
        kind="sample", shape=shape, names=tuple(f"c{i}" for i in range(shape[-1])), resolution=scaling.resolution
    )
    card = Card(
        name="x",
        title="X",
        noise=Noise(rule="philox-normal-v1", z_dim=10),
        classes=tuple(f"k{i}" for i in range(classes)) or None,
        output=output,
        provenance=Provenance(),
    )
    return generator.eval(), card


TWO_COLUMNS = Scaling((3.0, -100.0), (0.5, 40.0), (2.0**-14, 2.0**-7))
ONE_COLUMN = Scaling((0.25,), (0.125,), (2.0**-15,))


@pytest.mark.parametrize(
    ("kind", "shape", "scaling", "classes"),
    [
        ("mlp", (2,), TWO_COLUMNS, 3),
        ("mlp", (1,), ONE_COLUMN, 0),
        ("sequence", (20, 2), TWO_COLUMNS, 0),
        ("sequence", (64, 1), ONE_COLUMN, 3),
    ],
)
def test_file_matches_the_contract_and_torch(kind, shape, scaling, classes):
    """NumPy converts torch's standardized output in float64; the difference is at most one rounding unit."""
    generator, card = generator_and_card(kind, shape, scaling, classes)
    content = export_generator(generator, card, scaling)
    model = onnx.load_from_string(content)
    described = check_contract(model)
    assert described.model_copy(update={"reference": None}) == card
    assert described.reference == compute_reference(content)
    assert {entry.domain for entry in model.opset_import} == {""}
    assert export_generator(generator, card, scaling) == content
    feeds = {"z": noise(card.noise.rule, 10, SEEDS)}
    if classes:
        feeds["label"] = labels_of(SEEDS, classes)
    (found,) = onnxruntime.InferenceSession(content).run(["sample"], feeds)
    assert found.dtype == np.float32
    assert found.shape == (4, *shape)
    with torch.no_grad():
        standardized = generator(*(torch.from_numpy(array) for array in feeds.values())).numpy().astype(np.float64)
    expected = standardized * scaling.std + scaling.mean
    units = found / np.array(scaling.resolution)
    np.testing.assert_array_equal(units, np.rint(units))
    assert np.abs(units - expected / scaling.resolution).max() <= 1
    assert len(np.unique(found)) > 3


def test_serving_inverts_the_standardization():
    """With an identity generator, standardized data come back with an error of at most half a rounding unit."""

    class Identity(torch.nn.Module):
        def forward(self, z):
            return z

    data = np.random.default_rng(0).normal(TWO_COLUMNS.mean, TWO_COLUMNS.std, (1000, 2)).astype(np.float32)
    restored = ServedGenerator(Identity(), TWO_COLUMNS)(torch.from_numpy(TWO_COLUMNS.standardize(data))).numpy()
    assert (np.abs(restored - data) <= 0.51 * np.array(TWO_COLUMNS.resolution)).all()


def test_extreme_values_are_clamped_and_zero_is_positive():
    class Fixed(torch.nn.Module):
        def forward(self, z):
            return torch.tensor([[1e30], [-1e30], [-2.0 - 1e-7], [-2.0]])

    samples = ServedGenerator(Fixed(), ONE_COLUMN)(torch.zeros(4, 1)).numpy()[:, 0]
    assert samples[0] == MAX_UNITS * ONE_COLUMN.resolution[0]
    assert samples[1] == -samples[0]
    assert samples[2:].tolist() == [0.0, 0.0]
    assert not np.signbit(samples[2:]).any()


def test_file_that_differs_from_torch_is_refused():
    generator, card = generator_and_card("mlp", (2,), TWO_COLUMNS)
    content = export_generator(generator, card, TWO_COLUMNS)
    with torch.no_grad():
        generator.layers[-1].bias += 0.01
    with raises(ExportError, "differs_from_torch"):
        verify_export(content, ServedGenerator(generator, TWO_COLUMNS).eval())


def test_card_of_another_shape_is_refused():
    generator, card = generator_and_card("mlp", (2,), TWO_COLUMNS)
    wrong = card.model_copy(update={"output": SampleOutput(kind="sample", shape=(3,), names=("a", "b", "c"))})
    with raises(ContractError):
        export_generator(generator, wrong, TWO_COLUMNS)


def test_output_on_the_card():
    _, card = generator_and_card("sequence", (20, 2), TWO_COLUMNS)
    assert json.loads(card.to_json())["output"] == {
        "kind": "sample",
        "shape": [20, 2],
        "names": ["c0", "c1"],
        "resolution": [2.0**-14, 2.0**-7],
    }
