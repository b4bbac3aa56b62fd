"""What a file must be to count as a generator file."""

import hashlib
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from seedmint.models.card import CARD_KEY, CardError, ImageOutput, SampleOutput
from seedmint.models.contract import ContractError, check_contract
from seedmint.models.directory import SHIPPED, find_generator, models_directory
from seedmint.models.errors import UserError
from seedmint.training.datasets import load_dataset, load_splits
from seedmint.training.datasets.generated import RING_MODES, RING_STD
from seedmint.training.evaluation.generator_file import read_generator
from seedmint.training.evaluation.metrics.ring import modes
from seedmint.training.evaluation.sample_metrics import measure_samples
from seedmint.training.recipes.files import load_recipe
from seedmint.training.recipes.schema import Data, validated
from tests.support import generators


@pytest.mark.parametrize("classes", [None, ("a", "b")])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_good_file_gives_its_card(channels, classes):
    card = generators.card("good", classes=classes, output=ImageOutput(height=5, width=9, channels=channels))
    assert check_contract(generators.model(card)) == card


@pytest.mark.parametrize("shape", [(1,), (2,), (64, 3)])
def test_a_good_file_of_samples_gives_its_card(shape):
    output = SampleOutput(kind="sample", shape=shape, names=tuple("abc"[: shape[-1]]))
    card = generators.card("good", output=output)
    model = generators.model(card)
    assert check_contract(model) == card
    model.graph.output[0].name = "image"
    with pytest.raises(ContractError, match=r"outputs are image: float32.*the card asks for sample: float32\[batch, "):
        check_contract(model)


def change_opset(model):
    model.opset_import[0].version = 17


def add_domain(model):
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def use_domain_without_import(model):
    model.graph.node[0].domain = "com.example"


def use_domain_inside_a_subgraph(model):
    inner = helper.make_graph([helper.make_node("Evil", [], ["x"], domain="com.example")], "inner", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", inner))


def add_function(model):
    model.functions.append(helper.make_function("com.example", "F", ["x"], ["y"], [], [helper.make_opsetid("", 18)]))


def move_weights_outside(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def move_a_constant_outside(model):
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def draw_at_random(model):
    model.graph.node.append(helper.make_node("RandomNormalLike", ["z"], ["noise"], seed=1.0))


def stay_in_training(model):
    model.graph.node.append(helper.make_node("BatchNormalization", ["z", "a", "b", "c", "d"], ["x", "e", "f"], training_mode=1))


def drop_out(model):
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "training"))
    model.graph.node.append(helper.make_node("Dropout", ["z", "", "training"], ["thinned"]))


def drop_out_by_a_constant(model):
    model.graph.node.append(
        helper.make_node("Constant", [], ["training"], value=helper.make_tensor("t", TensorProto.BOOL, [], [1]))
    )
    model.graph.node.append(helper.make_node("Dropout", ["z", "", "training"], ["thinned"]))


def rename_input(model):
    model.graph.input[0].name = "noise"


def fix_batch(model):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def change_z_dim(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 21


def give_floats(model):
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT


def give_two_outputs(model):
    model.graph.output.append(helper.make_tensor_value_info("more", TensorProto.UINT8, ["batch"]))


def give_another_size(model):
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 9


def test_a_dropout_that_is_switched_off_is_no_chance():
    model = generators.model(generators.card("good"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(False), "training"))
    model.graph.node.append(helper.make_node("Dropout", ["z", "", "training"], ["same"]))
    model.graph.node.append(helper.make_node("Dropout", ["z"], ["same_too"]))
    assert check_contract(model) == generators.card("good")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_opset, "opset 17"),
        (add_domain, "com.example"),
        (use_domain_without_import, "com.example"),
        (use_domain_inside_a_subgraph, "com.example"),
        (add_function, "com.example"),
        (move_weights_outside, "outside the file"),
        (move_a_constant_outside, "outside the file"),
        (draw_at_random, "draws at random .RandomNormalLike"),
        (drop_out, "draws at random .Dropout"),
        (drop_out_by_a_constant, "draws at random .Dropout"),
        (stay_in_training, "BatchNormalization is in training mode"),
        (rename_input, "inputs are noise"),
        (fix_batch, "inputs are"),
        (change_z_dim, "inputs are"),
        (give_floats, "float32"),
        (give_two_outputs, "more"),
        (give_another_size, "outputs are"),
    ],
)
def test_what_breaks_the_contract_is_named(change, message):
    model = generators.model(generators.card("bad"))
    change(model)
    with pytest.raises(ContractError, match=message):
        check_contract(model)


def test_a_label_input_must_be_what_the_card_says():
    model = generators.model(generators.card("bad", classes=("a", "b")))
    helper.set_model_props(model, {CARD_KEY: generators.card("bad").to_json()})
    with pytest.raises(ContractError, match="label"):
        check_contract(model)


@pytest.mark.parametrize("props", [{}, {"other": "x"}, {CARD_KEY: "{"}])
def test_a_file_without_a_card_is_refused(props):
    model = generators.model(generators.card("bad"))
    helper.set_model_props(model, props)
    with pytest.raises(CardError):
        check_contract(model)


def test_two_cards_are_one_too_many():
    model = generators.model(generators.card("bad"))
    model.metadata_props.add(key=CARD_KEY, value=generators.card("other").to_json())
    with pytest.raises(CardError, match="2 metadata entries"):
        check_contract(model)


def test_generators_are_found_by_name_or_path(tmp_path, monkeypatch):
    file = tmp_path / "one.onnx"
    file.write_bytes(b"x")
    assert find_generator("one", tmp_path) == file
    assert find_generator(str(file), tmp_path / "elsewhere") == file
    with pytest.raises(UserError, match=r"no generator 'two'.*there: one"):
        find_generator("two", tmp_path)
    with pytest.raises(UserError, match=r"no generator file .*two\.onnx"):
        find_generator("two.onnx", tmp_path)
    monkeypatch.setenv("SEEDMINT_MODELS", str(tmp_path))
    assert models_directory() == tmp_path
    monkeypatch.delenv("SEEDMINT_MODELS")
    assert (models_directory() / "card.py").exists()


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("digits", {"label-accuracy": 0.97, "coverage": 0.95}),
        ("mnist", {"label-accuracy": 0.98, "coverage": 0.8}),
        ("fashion-mnist", {"label-accuracy": 0.85, "coverage": 0.5}),
        ("mnist-paper", {"parzen": 205, "coverage": 0.8}),
    ],
)
def test_the_shipped_generators_of_images_keep_the_contract_and_their_promises(name, least):
    path = SHIPPED / f"{name}.onnx"
    card = check_contract(onnx.load(path))
    assert card.name == name
    assert path.stat().st_size <= 12_000_000
    assert {"parzen", "frechet", "kid", "precision", "recall", "density", "coverage", "class", "copying"} <= {
        metric.metric.split("-")[0] for metric in card.evaluation
    }
    for start, value in least.items():
        (metric,) = [metric for metric in card.evaluation if metric.metric.startswith(start)]
        assert metric.value >= value
        assert metric.samples == 10_000
    trained_by = card.provenance.recipe  # of the version that trained it: fields that came later have their defaults
    assert validated(trained_by, name).published() == load_recipe(name).published()
    assert card.provenance.recipe_digest == hashlib.sha256(json.dumps(trained_by, sort_keys=True).encode()).hexdigest()
    assert not card.provenance.code_version.endswith("-dirty")
    (coverage,) = [metric for metric in card.evaluation if metric.metric.startswith("coverage")]
    table = (SHIPPED / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in table.splitlines() if f"`{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}`" in line]
    assert f"| {card.provenance.steps:,} |" in row
    assert f"| {coverage.value:.2f}" in row


def test_the_papers_recipe_has_the_papers_constants():
    recipe = load_recipe("mnist-paper")
    g, d = recipe.generator, recipe.discriminator
    assert (recipe.data.first, recipe.prior, recipe.z_dim, recipe.m, recipe.k) == (50_000, "uniform", 100, 100, 1)
    assert (g.width, g.layers, g.init) == (1200, 2, 0.05)
    assert (d.width, d.pieces, d.layers, d.init, d.keep_input, d.keep_hidden) == (240, 5, 2, 0.005, 0.8, 0.5)
    assert (recipe.order, recipe.objective, recipe.steps) == ("simultaneous", "non-saturating", 250 * 500)
    for rule, share in ((recipe.rule.generator, 1), (recipe.rule.discriminator, 0.5)):  # D's cost is halved
        assert (rule.learning_rate, rule.decay, rule.floor) == (0.1 * share, 1.000004, 1e-6 * share)
        assert (rule.momentum, rule.final_momentum, rule.ramp) == (0.5, 0.7, 249 * 500)


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("gaussian-1d", {"wasserstein-1 of x": 0.03}),
        ("ring-2d", {"wasserstein-1 of x": 0.1, "wasserstein-1 of y": 0.1}),
        ("sines", {"wasserstein-1 of x": 0.03, "correlation-difference": 0.03}),
    ],
)
def test_the_shipped_generators_of_samples_keep_the_contract_and_their_promises(name, limits):
    path = SHIPPED / f"{name}.onnx"
    card = check_contract(onnx.load(path))
    assert (card.name, card.output.kind) == (name, "sample")
    assert path.stat().st_size <= 1_000_000
    trained_by = card.provenance.recipe
    assert validated(trained_by, name).published() == load_recipe(name).published()
    assert card.provenance.recipe_digest == hashlib.sha256(json.dumps(trained_by, sort_keys=True).encode()).hexdigest()
    data = load_recipe(name).data
    train, held_out = load_splits(data)
    assert card.provenance.dataset.digest == train.digest
    assert not card.provenance.code_version.endswith("-dirty")
    figures = {metric.metric: metric.value for metric in card.evaluation}
    assert all(figures[metric] <= limit for metric, limit in limits.items())
    again = measure_samples(data, held_out, False, read_generator(path).samples)
    assert {metric.metric: metric.value for metric in again} == pytest.approx(figures, abs=1e-3)
    row = f"| {card.provenance.steps:,} | {figures['wasserstein-1 of x']:.3f} | "
    digest = f" | `{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}` | "
    (line,) = [
        line for line in (SHIPPED / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |")
    ]
    assert row in line
    assert digest in line


def test_the_shipped_ring_has_all_modes():
    """8 of 8, and nine samples in ten within three standard deviations: seeds that the card's figures did not see."""
    samples = read_generator(SHIPPED / "ring-2d.onnx").samples(np.arange(10**9, 10**9 + 5000))
    found = modes(samples, RING_MODES, RING_STD)
    assert (found.hit, found.quality >= 0.95) == (8, True)


def test_the_shipped_mnist_is_close_to_the_real_one(mnist):
    """Mean and spread of 2,000 images, a gross check that needs no classifier."""
    generator, real = read_generator(SHIPPED / "mnist.onnx"), load_dataset(Data(source="mnist")).images / 255
    images = generator.images(np.arange(2000, dtype=np.int64)) / 255
    assert images.mean() == pytest.approx(real.mean(), abs=0.02)
    assert np.abs(images.mean(axis=0)[:, :, 0] - real.mean(axis=0)[0]).mean() < 0.03
    assert images.std(axis=0).mean() == pytest.approx(real.std(axis=0).mean(), abs=0.03)
