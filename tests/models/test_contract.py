"""The contract of generator files, and the shipped generators."""

import hashlib
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from seedmint.models import contract
from seedmint.models.card import CARD_KEY, CardError, ImageOutput, SampleOutput
from seedmint.models.contract import ContractError, check_contract
from seedmint.models.directory import SHIPPED
from seedmint.training.datasets import load_dataset, load_splits
from seedmint.training.datasets.generated import RING_MODES, RING_STD
from seedmint.training.evaluation.generator_file import read_generator
from seedmint.training.evaluation.metrics.ring import count_modes
from seedmint.training.evaluation.sample_metrics import RealSamples, measure_samples
from seedmint.training.recipes.data import Data
from seedmint.training.recipes.files import load_recipe
from seedmint.training.recipes.schema import validate_recipe
from tests.support import generators


@pytest.mark.parametrize("classes", [None, ("a", "b")])
@pytest.mark.parametrize("channels", [1, 3])
def test_valid_image_generator_gives_its_card(channels, classes):
    card = generators.card("good", classes=classes, output=ImageOutput(height=5, width=9, channels=channels))
    assert check_contract(generators.model(card)) == card


@pytest.mark.parametrize("shape", [(1,), (2,), (64, 3)])
def test_valid_sample_generator_gives_its_card(shape):
    output = SampleOutput(kind="sample", shape=shape, names=tuple("abc"[: shape[-1]]))
    card = generators.card("good", output=output)
    model = generators.model(card)
    assert check_contract(model) == card
    model.graph.output[0].name = "image"
    assert violation(model) == "wrong_signature"


def violation(model):
    """Return the reason why a file violates the contract."""
    with pytest.raises(ContractError) as raised:
        check_contract(model)
    return raised.value.reason


def change_opset(model):
    model.opset_import[0].version = 17


def add_domain(model):
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def use_domain_without_import(model):
    model.graph.node[0].domain = "com.example"


def use_domain_in_subgraph(model):
    inner = helper.make_graph([helper.make_node("Evil", [], ["x"], domain="com.example")], "inner", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", inner))


def add_function(model):
    model.functions.append(helper.make_function("com.example", "F", ["x"], ["y"], [], [helper.make_opsetid("", 18)]))


def add_function_of_standard_domain(model):
    inner = [helper.make_node("Evil", ["x"], ["y"], domain="com.example")]  # the contract does not check bodies of functions
    model.functions.append(helper.make_function("", "F", ["x"], ["y"], inner, [helper.make_opsetid("", 18)]))


def add_sparse_weights(model):
    model.graph.sparse_initializer.append(sparse_tensor())


def add_sparse_constant(model):
    model.graph.node.append(helper.make_node("Constant", [], ["c"], sparse_value=sparse_tensor()))


def add_list_of_sparse_tensors(model):
    model.graph.node.append(helper.make_node("Other", [], ["c"], several=[sparse_tensor()]))


def sparse_tensor():
    values, indices = (numpy_helper.from_array(np.zeros(1, kind), "values") for kind in (np.float32, np.int64))
    return helper.make_sparse_tensor(values, indices, [1 << 40])


def move_weights_outside(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def move_constant_outside(model):
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def add_random_operator(model):
    model.graph.node.append(helper.make_node("RandomNormalLike", ["z"], ["noise"], seed=1.0))


def use_training_mode(model):
    model.graph.node.append(helper.make_node("BatchNormalization", ["z", "a", "b", "c", "d"], ["x", "e", "f"], training_mode=1))


def add_dropout(model):
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "training"))
    model.graph.node.append(helper.make_node("Dropout", ["z", "", "training"], ["thinned"]))


def add_dropout_by_constant(model):
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


def output_floats(model):
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT


def add_output(model):
    model.graph.output.append(helper.make_tensor_value_info("more", TensorProto.UINT8, ["batch"]))


def change_output_size(model):
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 9


def test_disabled_dropout_is_accepted():
    model = generators.model(generators.card("good"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(False), "training"))
    false = helper.make_tensor("f", TensorProto.BOOL, [], [0])
    model.graph.node.append(helper.make_node("Constant", [], ["false"], value=false))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "ratio"))
    for inputs in (["z", "ratio", "training"], ["z", "", "false"], ["z", "ratio"], ["z"]):
        model.graph.node.append(helper.make_node("Dropout", inputs, [f"same{len(model.graph.node)}"]))
    assert check_contract(model) == generators.card("good")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_opset, "old_opset"),
        (add_domain, "custom_domain"),
        (use_domain_without_import, "custom_domain"),
        (use_domain_in_subgraph, "custom_domain"),
        (add_function, "custom_domain"),
        (add_function_of_standard_domain, "function"),
        (add_sparse_weights, "sparse_tensor"),
        (add_sparse_constant, "sparse_tensor"),
        (add_list_of_sparse_tensors, "sparse_tensor"),
        (move_weights_outside, "external_data"),
        (move_constant_outside, "external_data"),
        (add_random_operator, "random_operator"),
        (add_dropout, "random_operator"),
        (add_dropout_by_constant, "random_operator"),
        (use_training_mode, "training_mode"),
        (rename_input, "wrong_signature"),
        (fix_batch, "wrong_signature"),
        (change_z_dim, "wrong_signature"),
        (output_floats, "wrong_signature"),
        (add_output, "wrong_signature"),
        (change_output_size, "wrong_signature"),
    ],
)
def test_violation_has_its_reason(change, reason):
    model = generators.model(generators.card("bad"))
    change(model)
    assert violation(model) == reason


def test_numbers_of_element_types_are_those_of_onnx():
    """The module does not import onnx. Error messages contain these names."""
    types = (TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT64, TensorProto.FLOAT16, TensorProto.DOUBLE)
    assert {number: helper.tensor_dtype_to_np_dtype(number).name for number in types} == contract._ELEMENT_NAMES


@pytest.mark.parametrize("excess", [0, 1])
def test_a_graph_and_its_subgraphs_have_20_000_nodes_at_most(excess):
    model = generators.model(generators.card("large"), idle_trips=1)  # the body of the loop has two nodes
    same = helper.make_node("Identity", ["z"], ["same"])
    model.graph.node.extend([same] * (20_000 - 2 - len(model.graph.node) + excess))
    if excess:
        assert violation(model) == "too_many_nodes"
    else:
        assert check_contract(model) == generators.card("large")


def test_label_input_must_match_the_card():
    model = generators.model(generators.card("bad", classes=("a", "b")))
    helper.set_model_props(model, {CARD_KEY: generators.card("bad").to_json()})
    assert violation(model) == "wrong_signature"


@pytest.mark.parametrize("props", [{}, {"other": "x"}, {CARD_KEY: "{"}])
def test_file_without_card_is_refused(props):
    model = generators.model(generators.card("bad"))
    helper.set_model_props(model, props)
    with pytest.raises(CardError):
        check_contract(model)


def test_file_with_two_cards_is_refused():
    model = generators.model(generators.card("bad"))
    model.metadata_props.add(key=CARD_KEY, value=generators.card("other").to_json())
    with pytest.raises(CardError) as raised:
        check_contract(model)
    assert raised.value.reason == "no_card"


@pytest.mark.parametrize(
    ("name", "samples", "minimums"),
    [
        ("digits", 719, {"label-accuracy": 0.99, "coverage": 0.89}),
        ("mnist", 10_000, {"label-accuracy": 0.99, "coverage": 0.87}),
        ("fashion-mnist", 10_000, {"label-accuracy": 0.9, "coverage": 0.87}),
        ("mnist-paper", 10_000, {"parzen": 205, "coverage": 0.8}),
        ("icons", 10_000, {"label-accuracy": 0.99, "coverage": 0.74}),
    ],
)
def test_shipped_image_generators_reach_their_published_metrics(name, samples, minimums):
    path = SHIPPED / f"{name}.onnx"
    card = check_contract(onnx.load(path))
    assert card.name == name
    assert path.stat().st_size <= 12_000_000
    assert {"parzen", "frechet", "kid", "precision", "recall", "density", "coverage", "class", "copying"} <= {
        metric.metric.split("-")[0] for metric in card.evaluation
    }
    for start, value in minimums.items():
        (metric,) = [metric for metric in card.evaluation if metric.metric.startswith(start)]
        assert metric.value >= value
        assert metric.samples == samples
    recipe = card.provenance.recipe  # fields that were added after the training have their defaults
    assert validate_recipe(recipe, name).published() == load_recipe(name).published()
    assert card.provenance.recipe_digest == hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    assert not card.provenance.code_version.endswith("-dirty")
    assert all(metric.interval is not None for metric in card.evaluation)
    assert all("draw-v1" in metric.protocol for metric in card.evaluation)
    (coverage,) = [metric for metric in card.evaluation if metric.metric.startswith("coverage")]
    table = (SHIPPED / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in table.splitlines() if f"`{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}`" in line]
    assert f"| {card.provenance.steps:,} |" in row
    assert f"| {coverage.value:.2f}" in row


def test_shipped_icons_are_small_and_in_color_and_name_their_data_and_spectrum():
    path = SHIPPED / "icons.onnx"
    card = check_contract(onnx.load(path))
    assert (card.output.channels, len(card.classes), card.licence.data) == (3, 12, "CC0-1.0")
    assert path.stat().st_size <= 2_000_000
    assert card.provenance.dataset.digest == load_dataset(load_recipe("icons").data).digest
    (spectrum,) = [metric.value for metric in card.evaluation if metric.metric == "spectrum-difference"]
    assert f"spectrum differs by {spectrum:.1%}" in " ".join((SHIPPED / "README.md").read_text(encoding="utf-8").split())


def test_recipe_of_the_paper_has_the_constants_of_the_paper():
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
        (
            "ring-2d",
            {"wasserstein-1 of x": 0.044, "wasserstein-1 of y": 0.03, "mode-share-largest": 0.14, "mode-ks-largest": 0.09},
        ),
        ("sines", {"wasserstein-1 of x": 0.03, "correlation-difference": 0.03}),
    ],
)
def test_shipped_sample_generators_reach_their_published_metrics(name, limits):
    path = SHIPPED / f"{name}.onnx"
    card = check_contract(onnx.load(path))
    assert (card.name, card.output.kind) == (name, "sample")
    assert path.stat().st_size <= 1_000_000
    recipe = card.provenance.recipe
    origin = recipe.get("started_from")  # of ring-2d, whose second stage continues a run of the recipe of its name
    expected = load_recipe("ring-2d-end" if origin else name).published()
    assert validate_recipe(recipe, name).published() == expected | {"started_from": origin}
    if origin:
        first = load_recipe(name)
        assert (origin["recipe_digest"], origin["step"]) == (first.digest(), first.steps)
    assert card.provenance.recipe_digest == hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    data = load_recipe(name).data
    train, held_out = load_splits(data)
    assert card.provenance.dataset.digest == train.digest
    assert not card.provenance.code_version.endswith("-dirty")
    figures = {metric.metric: metric.value for metric in card.evaluation}
    assert all(figures[metric] <= limit for metric, limit in limits.items())
    again = measure_samples(RealSamples(data, train, held_out), read_generator(path).samples, with_draws=False)
    # Metrics that are newer than the card are not on it, and metrics that train a model are not measured again.
    found = {metric.metric: metric.value for metric in again if metric.metric in figures}
    trained = {"detection-auc", "discriminative-score", "predictive-score"}
    assert found == pytest.approx({metric: figures[metric] for metric in figures if metric not in trained}, abs=1e-3)
    row = f"| {card.provenance.steps:,} | {figures['wasserstein-1 of x']:.3f} | "
    digest = f" | `{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}` | "
    (line,) = [
        line for line in (SHIPPED / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |")
    ]
    assert row in line
    assert digest in line


def test_shipped_table_reaches_its_published_metrics():
    """Each column of `penguins` is as near to the held-out rows as real rows are. Trees hardly tell them from real rows."""
    path = SHIPPED / "penguins.onnx"
    card = check_contract(onnx.load(path))
    assert (card.name, card.output.label.name, card.licence.data) == ("penguins", "species", "CC0-1.0")
    assert path.stat().st_size <= 1_000_000
    recipe = card.provenance.recipe
    assert validate_recipe(recipe, "penguins").published() == load_recipe("penguins").published()
    assert card.provenance.recipe_digest == hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    assert not card.provenance.code_version.endswith("-dirty")
    data = load_recipe("penguins").data
    train, held_out = load_splits(data)
    assert card.provenance.dataset.digest == train.digest
    columns = {
        metric.metric: metric
        for metric in card.evaluation
        if metric.metric.startswith(("kolmogorov-smirnov of", "total-variation of"))
    }
    assert set(columns) >= {f"kolmogorov-smirnov of {name}" for name in ("bill_length_mm", "body_mass_g", "year")}
    assert all(metric.value <= metric.interval[1] for metric in columns.values())
    figures = {metric.metric: metric.value for metric in card.evaluation}
    assert figures["detection-auc"] <= 0.6
    assert figures["exact-copies"] == 0
    assert all(metric.interval is not None for metric in card.evaluation)
    real = RealSamples(data, train, held_out, card.label_rule())
    again = measure_samples(real, read_generator(path).samples, ("marginals",), with_draws=False)
    assert {metric.metric: metric.value for metric in again} == pytest.approx(
        {name: metric.value for name, metric in columns.items()}, abs=1e-3
    )
    (line,) = [
        line for line in (SHIPPED / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `penguins` |")
    ]
    assert f"| {card.provenance.steps:,} | " in line
    assert f" | `{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}` | " in line


def test_shipped_words_have_their_published_metrics():
    """The card has the figures beside those of real words and of the 4-gram model. The words themselves are not stored."""
    path = SHIPPED / "words.onnx"
    card = check_contract(onnx.load(path))
    assert (card.name, card.output.is_text, card.licence.data) == ("words", True, "SCOWL")
    (column,) = card.output.columns
    assert ("".join(column.alphabet), column.length) == ("abcdefghijklmnopqrstuvwxyz", 12)
    assert path.stat().st_size <= 1_000_000
    recipe = card.provenance.recipe
    assert validate_recipe(recipe, "words").published() == load_recipe("words").published()
    assert card.provenance.recipe_digest == hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    assert not card.provenance.code_version.endswith("-dirty")
    figures = {metric.metric: metric for metric in card.evaluation}
    assert all(figures[f"{n}-gram-divergence"].interval is not None for n in (1, 2, 3, 4))
    assert all(f"{n}-gram-divergence of a 4-gram model" in figures for n in (1, 2, 3, 4))
    for name in ("1-gram-divergence", "kolmogorov-smirnov of length", "exact-copies"):
        assert figures[name].value <= figures[f"{name} of a 4-gram model"].value
    assert figures["2-gram-divergence"].value <= 0.006
    assert figures["3-gram-divergence"].value <= 0.04
    codes = read_generator(path).samples(np.arange(1000))
    words = column.values(codes)
    assert len({*words}) / len(words) >= 0.95
    assert np.mean([3 <= len(word) <= 12 for word in words]) >= 0.95
    (line,) = [
        line for line in (SHIPPED / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `words` |")
    ]
    assert f"| {card.provenance.steps:,} | " in line
    assert f" | `{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}` | " in line


def test_shipped_ring_generator_has_all_modes():
    """8 of 8 modes, and 95% of the samples near a mode. The seeds differ from those of the card's evaluation."""
    samples = read_generator(SHIPPED / "ring-2d.onnx").samples(np.arange(10**9, 10**9 + 5000))
    found = count_modes(samples, RING_MODES, RING_STD)
    assert (found.hit, found.quality >= 0.95) == (8, True)


def test_shipped_mnist_generator_has_mean_and_spread_of_the_data(mnist):
    """A coarse check with 2,000 images, which needs no classifier."""
    generator, real = read_generator(SHIPPED / "mnist.onnx"), load_dataset(Data(source="mnist")).images / 255
    images = generator.images(np.arange(2000, dtype=np.int64)) / 255
    assert images.mean() == pytest.approx(real.mean(), abs=0.02)
    assert np.abs(images.mean(axis=0)[:, :, 0] - real.mean(axis=0)[0]).mean() < 0.03
    assert images.std(axis=0).mean() == pytest.approx(real.std(axis=0).mean(), abs=0.03)
