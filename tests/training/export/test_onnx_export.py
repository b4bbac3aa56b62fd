import copy
import io
import json
import math

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from seedmint.models.card import Card, ImageOutput, Noise
from seedmint.models.contract import ContractError, card_of, check_contract
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of, noise
from seedmint.models.provenance import Provenance
from seedmint.models.runtime.reference import compute_reference, with_card
from seedmint.training.export.onnx_export import ExportError, export_generator, install_generator, verify_export
from seedmint.training.export.served_generator import ServedGenerator
from seedmint.training.networks import build_networks
from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.runs.event_log import read_log
from seedmint.training.runs.export_run import export_run
from tests.support.batch_independence import assert_rows_are_independent
from tests.support.errors import raises
from tests.support.recipes import recipe_document
from tests.training.runs.test_run import finish, start

# Every network with and without classes, and with one and three channels.
NETWORKS = [
    ("paper", 1, (3, 5), 0),
    ("paper", 3, (9, 9), 4),
    ("convolutional", 1, (28, 28), 4),
    ("convolutional", 3, (33, 33), 0),
    ("residual", 1, (28, 28), 4),
    ("residual", 4, (9, 20), 0),
]


def generator_and_card(kind="convolutional", channels=1, size=(8, 8), classes=0):
    torch.manual_seed(0)
    document = recipe_document(generator={"kind": kind, "width": 16}, discriminator={"kind": kind, "width": 2}, z_dim=10)
    generator, _ = build_networks(validate_recipe(document, "test"), torch.full((channels, *size), 0.5), classes)
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    for parameter in generator.parameters():
        if parameter.ndim == 4 and not bool(parameter.any()):  # weights that start at zero
            torch.nn.init.normal_(parameter, 0.0, 0.3)
    card = Card(
        name="x",
        title="X",
        noise=Noise(rule="philox-uniform-v1", z_dim=10),
        classes=tuple(f"c{i}" for i in range(classes)) or None,
        output=ImageOutput(height=size[0], width=size[1], channels=channels),
        provenance=Provenance(),
    )
    return generator.eval(), card


@pytest.fixture(scope="module")
def exported():
    """A generator with its card, and its file."""
    generator, card = generator_and_card(classes=2)
    return generator, card, export_generator(generator, card)


@pytest.fixture(scope="module")
def exported_run(tmp_path_factory):
    """A finished run with classes and averaged weights, and its file."""
    run = start(tmp_path_factory.mktemp("exported") / "r", conditional=True, seed=3)
    finish(run)
    return run, export_run(run.directory, "mine", None, None, None)


@pytest.mark.parametrize(("kind", "channels", "size", "classes"), NETWORKS)
def test_file_matches_the_contract_and_torch(kind, channels, size, classes):
    generator, card = generator_and_card(kind, channels, size, classes)
    content = export_generator(generator, card)
    model = onnx.load_from_string(content)
    described = check_contract(model)
    assert described.model_copy(update={"reference": None}) == card
    assert described.reference == compute_reference(content)
    assert {entry.domain for entry in model.opset_import} == {""}
    seeds = np.array([5, 2**62, 7], dtype=np.int64)
    feeds = {"z": noise(card.noise.rule, 10, seeds)}
    if classes:
        feeds["label"] = labels_of(seeds, classes)
    (found,) = onnxruntime.InferenceSession(content).run(["image"], feeds)
    with torch.no_grad():
        images = generator(*(torch.from_numpy(array) for array in feeds.values())).numpy()
    expected = np.rint(images.transpose(0, 2, 3, 1) * 255)
    assert found.shape == (3, *size, channels)
    assert np.abs(found - expected).max() <= 1
    if kind == "residual":
        assert_rows_are_independent(content, examples=2)


def test_file_is_deterministic_and_contains_no_paths(exported):
    generator, card, content = exported
    assert export_generator(generator, card) == content
    for trace in (b"/home", b"/root", b"site-packages", b".py", b"torch"):
        assert trace not in content


def test_file_that_differs_from_torch_is_refused(exported):
    generator, content = copy.deepcopy(exported[0]), exported[2]
    with torch.no_grad():
        generator.output.bias += 0.1
    with raises(ExportError, "differs_from_torch"):
        verify_export(content, ServedGenerator(generator).eval())


def test_card_that_does_not_match_the_graph_is_refused():
    generator, card = generator_and_card()
    wrong = card.model_copy(update={"output": ImageOutput(height=8, width=9, channels=1)})
    with raises(ContractError):
        export_generator(generator, wrong)


def test_card_of_an_exported_run(exported_run):
    run, content = exported_run
    assert export_run(run.directory, "mine", None, None, None) == content
    card = card_of(onnx.load_from_string(content))
    assert (card.name, card.title, card.classes) == ("mine", "Small", tuple("0123456789"))
    assert card.class_weights == tuple(np.bincount(run.dataset.labels).tolist())  # without a common divisor
    provenance = card.provenance
    assert (provenance.steps, provenance.training_seed, provenance.weights) == (20, 3, "ema")
    assert provenance.recipe == json.loads(json.dumps(run.recipe.document()))
    assert provenance.recipe_digest == run.recipe.digest()
    assert (provenance.dataset.name, provenance.dataset.digest, provenance.dataset.examples) == (
        "digits",
        run.dataset.digest,
        1797,
    )
    assert provenance.libraries["torch"].startswith("2.")
    assert card.licence.data == "CC-BY-4.0"
    logged = [entry for entry in read_log(run.directory / "log.jsonl") if "V" in entry]
    assert provenance.curve.steps == tuple(entry["step"] for entry in logged)
    assert provenance.curve.d_real == pytest.approx([entry["D(x)"] for entry in logged], rel=1e-4)
    assert provenance.curve.equilibrium == pytest.approx(-math.log(4))
    last = export_run(run.directory, "mine", "Another title", 15, "last")
    earlier = card_of(onnx.load_from_string(last)).provenance
    assert earlier.steps == 15
    assert earlier.curve.steps == tuple(entry["step"] for entry in logged if entry["step"] <= 15)
    assert last != content


def test_previews_match_the_exported_file(exported_run):
    run, content = exported_run
    seeds = np.arange(64, dtype=np.int64)
    feeds = {"z": noise("philox-normal-v1", 8, seeds), "label": labels_of(seeds, 10)}
    (images,) = onnxruntime.InferenceSession(content).run(["image"], feeds)
    sheet = np.asarray(Image.open(run.directory / "previews" / "step-000000020.png")).astype(int)
    width = (sheet.shape[1] - 16) // 2  # of the generated images; the real images are beside them
    scale = (width - 1) // 8 // 8
    pitch = 8 * scale + 1
    for i in (0, 9, 63):
        top, left = i // 8 * pitch + 1, i % 8 * pitch + 1
        shown = sheet[top : top + 8 * scale : scale, left : left + 8 * scale : scale]
        assert np.abs(shown - images[i, :, :, 0]).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "reason", "field"),
    [((None, 7, None), "no_checkpoint", "step"), ((None, None, "ema"), "no_average", "weights")],
)
def test_missing_checkpoint_or_averaged_weights_are_refused(tmp_path, arguments, reason, field):
    start(tmp_path / "r", ema=0.0, steps=5).fit()
    with raises(UserError, reason, field):
        export_run(tmp_path / "r", "mine", *arguments)


def test_generator_is_replaced_only_with_replace(tmp_path):
    assert install_generator(b"one", tmp_path / "m", "mine", replace=False).read_bytes() == b"one"
    install_generator(b"one", tmp_path / "m", "mine", replace=False)
    with raises(ExportError, "name_taken", "name"):
        install_generator(b"two", tmp_path / "m", "mine", replace=False)
    assert install_generator(b"two", tmp_path / "m", "mine", replace=True).read_bytes() == b"two"
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["mine.onnx"]


def test_with_card_keeps_the_graph(exported):
    _, card, content = exported
    other = with_card(content, card.model_copy(update={"title": "Renamed"}))
    assert card_of(onnx.load_from_string(other)).title == "Renamed"
    one, two = onnx.load(io.BytesIO(content)), onnx.load(io.BytesIO(other))
    assert one.graph.SerializeToString(deterministic=True) == two.graph.SerializeToString(deterministic=True)


def test_last_weights_are_exported_before_the_average_starts(tmp_path):
    finish(start(tmp_path / "r", ema=0.9, ema_start=20))
    card = check_contract(onnx.load_from_string(export_run(tmp_path / "r", "early", None, None, None)))
    assert card.provenance.weights == "last"
    with raises(ExportError, "no_average", "weights"):
        export_run(tmp_path / "r", "early", None, None, "ema")
