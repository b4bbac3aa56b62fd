import io
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from seedmint.models.card import Card, ImageOutput, Noise, Provenance
from seedmint.models.contract import ContractError, card_of, check_contract
from seedmint.models.noise import labels_of, noise
from seedmint.training.export.onnx_export import ExportError, export_generator, install, verify, with_card
from seedmint.training.export.served_generator import ServedGenerator
from seedmint.training.networks import build_networks
from seedmint.training.recipes.schema import validated
from seedmint.training.runs.checkpoints import CheckpointError
from seedmint.training.runs.export_run import export_run
from tests.support.recipes import recipe_document
from tests.training.runs.test_run import begin, finish

SHAPES = [("paper", 1, (3, 5)), ("paper", 3, (9, 9)), ("convolutional", 1, (28, 28)), ("convolutional", 3, (33, 33))]


def generator_and_card(kind="convolutional", channels=1, size=(8, 8), classes=0):
    torch.manual_seed(0)
    document = recipe_document(generator={"kind": kind, "width": 16}, discriminator={"kind": kind, "width": 2}, z_dim=10)
    generator, _ = build_networks(validated(document, "test"), torch.full((channels, *size), 0.5), classes)
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    card = Card(
        name="x",
        title="X",
        noise=Noise(rule="philox-uniform-v1", z_dim=10),
        classes=tuple(f"c{i}" for i in range(classes)) or None,
        output=ImageOutput(height=size[0], width=size[1], channels=channels),
        provenance=Provenance(),
    )
    return generator.eval(), card


@pytest.mark.parametrize("classes", [0, 4])
@pytest.mark.parametrize(("kind", "channels", "size"), SHAPES)
def test_the_file_keeps_the_contract_and_computes_what_torch_does(kind, channels, size, classes):
    generator, card = generator_and_card(kind, channels, size, classes)
    content = export_generator(generator, card)
    model = onnx.load_from_string(content)
    assert check_contract(model) == card
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


def test_the_same_generator_gives_the_same_file_without_a_trace_of_this_machine():
    generator, card = generator_and_card(classes=2)
    content = export_generator(generator, card)
    assert export_generator(generator, card) == content
    for trace in (b"/home", b"/root", b"site-packages", b".py", b"torch"):
        assert trace not in content


def test_a_file_that_differs_from_torch_is_refused():
    generator, card = generator_and_card()
    content = export_generator(generator, card)
    with torch.no_grad():
        generator.output.bias += 0.1
    with pytest.raises(ExportError, match=r"differ by .* grey levels"):
        verify(content, ServedGenerator(generator).eval())


def test_a_card_that_promises_something_else_is_refused():
    generator, card = generator_and_card()
    wrong = card.model_copy(update={"output": ImageOutput(height=8, width=9, channels=1)})
    with pytest.raises(ContractError, match="outputs are"):
        export_generator(generator, wrong)


def test_a_run_is_exported_with_all_that_is_known_of_it(tmp_path):
    run = begin(tmp_path / "r", conditional=True, seed=3)
    finish(run)
    content = export_run(tmp_path / "r", "mine", None, None, None)
    assert export_run(tmp_path / "r", "mine", None, None, None) == content
    card = card_of(onnx.load_from_string(content))
    assert (card.name, card.title, card.classes) == ("mine", "Small", tuple("0123456789"))
    known = card.provenance
    assert (known.steps, known.training_seed, known.weights) == (20, 3, "ema")
    assert known.recipe == json.loads(json.dumps(run.recipe.document()))
    assert known.recipe_digest == run.recipe.digest()
    assert (known.dataset.name, known.dataset.digest, known.dataset.examples) == ("digits", run.dataset.digest, 1797)
    assert known.libraries["torch"].startswith("2.")
    assert card.licence.data == "CC-BY-4.0"
    last = export_run(tmp_path / "r", "mine", "Another title", 15, "last")
    assert card_of(onnx.load_from_string(last)).provenance.steps == 15
    assert last != content


def test_previews_are_what_the_service_will_return(tmp_path):
    finish(begin(tmp_path / "r", conditional=True))
    content = export_run(tmp_path / "r", "mine", None, None, None)
    seeds = np.arange(64, dtype=np.int64)
    feeds = {"z": noise("philox-normal-v1", 8, seeds), "label": labels_of(seeds, 10)}
    (images,) = onnxruntime.InferenceSession(content).run(["image"], feeds)
    sheet = np.asarray(Image.open(tmp_path / "r" / "previews" / "step-000000020.png")).astype(int)
    scale = (sheet.shape[1] - 1) // 8 // 8
    pitch = 8 * scale + 1
    for i in (0, 9, 63):
        top, left = i // 8 * pitch + 1, i % 8 * pitch + 1
        shown = sheet[top : top + 8 * scale : scale, left : left + 8 * scale : scale]
        assert np.abs(shown - images[i, :, :, 0]).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"), [((None, 7, None), "no checkpoint of step 7"), ((None, None, "ema"), "no average is kept")]
)
def test_what_cannot_be_exported_is_named(tmp_path, arguments, message):
    finish(begin(tmp_path / "r", ema=0.0))
    with pytest.raises((ExportError, CheckpointError), match=message):
        export_run(tmp_path / "r", "mine", *arguments)


def test_a_generator_is_not_replaced_unasked(tmp_path):
    assert install(b"one", tmp_path / "m", "mine", replace=False).read_bytes() == b"one"
    install(b"one", tmp_path / "m", "mine", replace=False)
    with pytest.raises(ExportError, match="--replace"):
        install(b"two", tmp_path / "m", "mine", replace=False)
    assert install(b"two", tmp_path / "m", "mine", replace=True).read_bytes() == b"two"
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["mine.onnx"]


def test_another_card_leaves_the_generator_as_it_is():
    generator, card = generator_and_card()
    content = export_generator(generator, card)
    other = with_card(content, card.model_copy(update={"title": "Renamed"}))
    assert card_of(onnx.load_from_string(other)).title == "Renamed"
    one, two = onnx.load(io.BytesIO(content)), onnx.load(io.BytesIO(other))
    assert one.graph.SerializeToString(deterministic=True) == two.graph.SerializeToString(deterministic=True)


def test_before_an_average_begins_the_weights_as_they_are_are_exported(tmp_path):
    finish(begin(tmp_path / "r", ema=0.9, ema_start=20))
    card = check_contract(onnx.load_from_string(export_run(tmp_path / "r", "early", None, None, None)))
    assert card.provenance.weights == "last"
    with pytest.raises(ExportError, match="no average is kept at step 20"):
        export_run(tmp_path / "r", "early", None, None, "ema")
