"""The command `models add`."""

import hashlib
import json
import zipfile

import numpy as np
import onnx
import pytest
import torch

from seedmint.cli import main
from seedmint.models.errors import UserError
from seedmint.service.cli.models_add import add
from seedmint.service.runtime.generator import open_generator
from tests.service.importer.networks import DIM, Convolutional, exported, small_model
from tests.support import generators


def run(*arguments):
    """Run `models add` and return the exit status."""
    with pytest.raises(SystemExit) as ended:
        main(["models", "add", *map(str, arguments)])
    return ended.value.code


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def refusal(files, models, **options):
    """Run the command and return the error."""
    arguments = [*map(str, files), "--models", str(models)]
    for name, value in options.items():
        arguments += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    with pytest.raises(UserError) as refused:
        add.main(arguments, standalone_mode=False)
    return refused.value.field, refused.value.reason


def test_import_and_open(tmp_path, models, capsys):
    torch.manual_seed(6)
    exported(Convolutional(), (torch.zeros(2, DIM, 1, 1),), ["noise"], tmp_path / "Faces.onnx")
    arguments = [tmp_path / "Faces.onnx", "--title", "Eight by eight", "--models", models]
    assert run(*arguments, "--data", "noise", "--weights-licence", "MIT") == 0
    generator = open_generator(models / "faces.onnx")
    assert f"faces@{generator.digest12}" in capsys.readouterr().out
    assert (generator.card.title, generator.card.licence.weights) == ("Eight by eight", "MIT")
    assert generator.card.provenance.dataset.name == "noise"
    assert run(*arguments) == 1
    assert refusal([tmp_path / "Faces.onnx"], models) == ("name", "name_exists")
    assert run(*arguments, "--replace") == 0


@pytest.mark.parametrize(
    ("options", "field", "reason"),
    [
        ({"classes": "0"}, "classes", "names_not_distinct"),
        ({"classes": "a,b, a"}, "classes", "names_not_distinct"),
        ({"z_scale": "0"}, "z_scale", "out_of_range"),
        ({"z_scale": "nan"}, "z_scale", "out_of_range"),
        ({"shape": "4x4x"}, "shape", "wrong_shape"),
        ({"shape": "4x4x2"}, "shape", "wrong_shape"),
        ({"set": "psi"}, "set", "wrong_constant"),
        ({"set": "psi=nan"}, "set", "wrong_constant"),
        ({"name": "A b"}, "name", "wrong_name"),
        ({"title": "two\nlines"}, "title", "card_field"),
    ],
)
def test_wrong_options(tmp_path, models, options, field, reason):
    (tmp_path / "g.onnx").write_bytes(small_model().SerializeToString())
    assert refusal([tmp_path / "g.onnx"], models, **options) == (field, reason)
    assert list(models.iterdir()) == []


def test_reference_is_compared_and_recorded(tmp_path, models):
    (tmp_path / "g.onnx").write_bytes(small_model().SerializeToString())
    assert run(tmp_path / "g.onnx", "--models", models) == 0
    generator = open_generator(models / "g.onnx")
    origin = generator.card.provenance.imported
    assert [file.sha256 for file in origin.originals] == [hashlib.sha256((tmp_path / "g.onnx").read_bytes()).hexdigest()]
    assert (origin.options, origin.difference) == ({}, None)
    images = generator.generate(np.arange(16))
    images[3, 0, 0, 0] += 1
    np.save(tmp_path / "ref.npy", images)
    assert run(tmp_path / "g.onnx", "--models", models, "--replace", "--reference", tmp_path / "ref.npy") == 0
    assert open_generator(models / "g.onnx").card.provenance.imported.difference == 1
    assert run(tmp_path / "g.onnx", "--models", models, "--replace", "--range", "0..1", "--shape", "4x4x3") == 0
    assert open_generator(models / "g.onnx").card.provenance.imported.options == {"range": "0..1", "shape": [4, 4, 3]}
    (tmp_path / "ref.npy").write_bytes(b"text")
    assert refusal([tmp_path / "g.onnx"], models, replace=True, reference=tmp_path / "ref.npy") == ("reference", "not_npy")


def test_generator_file_keeps_its_card(tmp_path, models):
    path = generators.write(tmp_path, "mine", classes=("a", "b"))
    assert run(path, "--models", models) == 0
    assert (models / "mine.onnx").read_bytes() == path.read_bytes()
    assert run(path, "--models", models, "--name", "yours", "--weights-licence", "MIT") == 0
    old, new = open_generator(path), open_generator(models / "yours.onnx")
    assert new.card.licence.weights == "MIT"
    assert new.card.model_copy(update={"name": "mine", "licence": old.card.licence}) == old.card
    assert new.generate(np.arange(9)).tobytes() == old.generate(np.arange(9)).tobytes()
    path.rename(tmp_path / "download.onnx")
    assert run(tmp_path / "download.onnx", "--models", models, "--replace") == 0
    assert refusal([tmp_path / "download.onnx"], models, range="0..1", replace=True) == ("range", "already_a_generator")


def archive(path, *names):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"")
    return path.read_bytes()


def test_files_of_other_formats(tmp_path, models):
    torch.save(Convolutional().state_dict(), tmp_path / "new.pth")
    torch.save(Convolutional().state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    contents = {
        "new.pth": ((tmp_path / "new.pth").read_bytes(), "pytorch_checkpoint"),
        "old.pt": ((tmp_path / "old.pth").read_bytes(), "pytorch_checkpoint"),
        "network.pkl": (b"\x80\x04\x95\x10\x00\x00\x00", "pickle_file"),
        "generator.keras": (archive(tmp_path / "k", "metadata.json", "config.json", "model.weights.h5"), "keras_file"),
        "generator.h5": (b"\x89HDF\r\n\x1a\n", "keras_file"),
        "script.pt": (archive(tmp_path / "s", "g/data.pkl", "g/code/g.py"), "torchscript_file"),
        "g.safetensors": (len(header).to_bytes(8, "little") + header + bytes(4), "safetensors_file"),
        "g.tflite": (b"\x1c\x00\x00\x00TFL3", "tflite_file"),
        "lfs.onnx": (b"version https://git-lfs.github.com/spec/v1\n", "git_lfs_pointer"),
        "g.onnx.data": (bytes(range(64)), "onnx_data_file"),
        "text.onnx": (b"hello", "not_onnx"),
    }
    for name, (content, reason) in contents.items():
        (tmp_path / name).write_bytes(content)
        assert refusal([tmp_path / name], models, name="g") == (None, reason), name


def test_metadata_of_other_tools_is_dropped(tmp_path, models):
    model = small_model()
    onnx.helper.set_model_props(model, {"author": "somebody"})
    (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
    assert run(tmp_path / "g.onnx", "--models", models) == 0
    assert [entry.key for entry in onnx.load(models / "g.onnx").metadata_props] == ["seedmint"]
