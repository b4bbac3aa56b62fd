"""`seedmint.load` and the generator object: the same outputs as the service's, in every process and thread."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seedmint
from seedmint.arguments import label_array, seed_array
from seedmint.models.errors import UserError
from seedmint.models.noise import LabelRule, labels_of, noise
from seedmint.service.runtime.generator import Generator as RuntimeGenerator
from tests.support import generators


@pytest.fixture
def home(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDMINT_MODELS", str(models))


@pytest.fixture
def rgb_api(home: None) -> seedmint.Generator:
    return seedmint.load("rgb", threads=1)


def test_images_equal_those_of_the_runtime(rgb_api: seedmint.Generator, rgb: RuntimeGenerator):
    seeds = np.arange(150, dtype=np.int64)
    np.testing.assert_array_equal(rgb_api.images(range(150)), rgb.generate(seeds))
    np.testing.assert_array_equal(rgb_api.images("0-149"), rgb_api.images(seeds))
    np.testing.assert_array_equal(rgb_api.images(list(range(150))), rgb_api[0:150])
    np.testing.assert_array_equal(rgb_api[42], rgb_api.images(42)[0])
    np.testing.assert_array_equal(
        rgb_api.images(range(5), labels="bee", truncation=0.5), rgb.generate(seeds[:5], np.ones(5, int), 0.5)
    )
    assert rgb_api.images(range(3)).dtype == np.uint8


def test_noise_and_labels_follow_the_published_rules(rgb_api: seedmint.Generator):
    seeds = np.array([0, 7, 2**63 - 1])
    np.testing.assert_array_equal(rgb_api.noise(seeds), noise(rgb_api.card.noise.rule, rgb_api.card.noise.z_dim, seeds))
    np.testing.assert_array_equal(rgb_api.labels(seeds), labels_of(seeds, 3))


def test_labels_follow_the_class_weights_of_the_card(tmp_path: Path):
    classes, seeds = ("ant", "bee", "cat"), np.arange(200)
    (tmp_path / "skewed.onnx").write_bytes(generators.content("skewed", classes=classes, class_weights=(11, 8, 1)))
    api = seedmint.load(tmp_path / "skewed.onnx", threads=1)
    labels = api.labels(seeds)
    np.testing.assert_array_equal(labels, LabelRule(3, (11, 8, 1)).labels(seeds))
    np.testing.assert_array_equal(api.images(seeds), api.images(seeds, labels=labels))


def test_latent_vectors_of_seeds_give_their_images(rgb_api: seedmint.Generator):
    z, labels = rgb_api.noise(range(9)), rgb_api.labels(range(9))
    assert labels is not None
    np.testing.assert_array_equal(rgb_api.from_latents(z, labels), rgb_api.images(range(9)))
    np.testing.assert_array_equal(rgb_api.from_latents(z[3], int(labels[3])), rgb_api.images([3]))


def test_an_interpolation_begins_and_ends_at_the_seeds(rgb_api: seedmint.Generator):
    frames = rgb_api.interpolate(3, 8, frames=7, label=1)
    assert frames.shape == (7, 16, 12, 3)
    np.testing.assert_array_equal(frames[[0, -1]], rgb_api.images([3, 8], labels=1))


def test_a_grid_is_a_picture_of_the_images(rgb_api: seedmint.Generator):
    picture = rgb_api.grid("0-5", columns=3, scale=2)
    assert picture.size == (3 * 24 + 2 * 2, 2 * 32 + 2)
    np.testing.assert_array_equal(np.asarray(picture)[:32:2, :24:2], rgb_api[0])
    assert "data:image/png;base64," in rgb_api._repr_html_()


def test_samples_and_images_are_not_confused(sample_models: Path, rgb_api: seedmint.Generator):
    point = seedmint.load("point", models=sample_models)
    assert point.samples(range(4)).shape == (4, 2)
    assert point.samples(range(4)).dtype == np.float32
    for generator, method in ((point, "images"), (rgb_api, "samples")):
        with pytest.raises(UserError) as error:
            getattr(generator, method)(range(4))
        assert error.value.reason == "wrong_output"


def test_a_version_is_checked(models: Path, rgb_api: seedmint.Generator, tmp_path: Path):
    assert seedmint.load(f"rgb@{rgb_api.digest[:12]}", models=models).digest == rgb_api.digest
    with pytest.raises(UserError) as error:
        seedmint.load(f"rgb@{'0' * 12}", models=models)
    assert (error.value.field, error.value.reason) == ("digest", "wrong_digest")
    shutil.copy(models / "rgb.onnx", tmp_path / f"rgb@{rgb_api.digest[:12]}.onnx")
    assert seedmint.load(f"rgb@{rgb_api.digest[:12]}", models=tmp_path).digest == rgb_api.digest


def test_a_url_is_read_by_fsspec(models: Path):
    import fsspec

    with fsspec.open("memory://generators/rgb.onnx", "wb") as file:
        file.write((models / "rgb.onnx").read_bytes())
    assert seedmint.load("memory://generators/rgb.onnx").name == "rgb"
    with pytest.raises(UserError) as error:
        seedmint.load("nowhere://generators/rgb.onnx")
    assert error.value.reason == "unknown_protocol"


@pytest.mark.parametrize(
    ("call", "field", "reason"),
    [
        (lambda g: g.images(range(2), labels=3), "labels", "out_of_range"),
        (lambda g: g.images(range(2), labels="dog"), "labels", "unknown_class"),
        (lambda g: g.images(range(2), labels=[1]), "labels", "wrong_length"),
        (lambda g: g.images(np.zeros((2, 2), int)), "seeds", "wrong_shape"),
        (lambda g: g.images(np.zeros(2)), "seeds", "wrong_shape"),
        (lambda g: g[:], "seeds", "no_end"),
        (lambda g: g[0:4:0], "seeds", "malformed_seeds"),
        (lambda g: g[0:1.5], "seeds", "malformed_seeds"),
        (lambda g: g[-2:2], "seeds", "out_of_range"),
        (lambda g: g[5:2], "seeds", "malformed_seeds"),
        (lambda g: g[-1], "seeds", "out_of_range"),
        (lambda g: g[True], "seeds", "malformed_seeds"),
        (lambda g: g[1.5], "seeds", "malformed_seeds"),
        (lambda g: g.images(None), "seeds", "malformed_seeds"),
        (lambda g: g.images(range(0)), "seeds", "malformed_seeds"),
        (lambda g: g.images(range(2), labels=1.0), "labels", "out_of_range"),
        (lambda g: g.images(range(2), labels=np.array(1.0)), "labels", "out_of_range"),
        (lambda g: g.images(range(2), truncation=0), "truncation", "out_of_range"),
        (lambda g: g.images(range(2), truncation=float("nan")), "truncation", "out_of_range"),
        (lambda g: g.images(range(2), truncation="0.5"), "truncation", "out_of_range"),
        (lambda g: g.from_latents([[1], [1, 2]], 0), "z", "wrong_shape"),
        (lambda g: g.from_latents(np.zeros((0, g.card.noise.z_dim)), []), "z", "wrong_shape"),
        (lambda g: g.interpolate(1, 2, frames=2.5), "frames", "out_of_range"),
        (lambda g: g.from_latents(np.zeros((1, 3)), 0), "z", "wrong_shape"),
        (lambda g: g.from_latents(np.full((1, g.card.noise.z_dim), np.nan), 0), "z", "not_finite"),
        (lambda g: g.from_latents(np.zeros((1, g.card.noise.z_dim))), "labels", "missing"),
        (lambda g: g.interpolate(1, 2, frames=1), "frames", "out_of_range"),
        (lambda g: g.grid("0-3", columns=0), "columns", "out_of_range"),
        (lambda g: g.grid("0-3", columns="2"), "columns", "out_of_range"),
        (lambda g: g.grid("0-3", scale=1.5), "scale", "out_of_range"),
        (lambda g: g.images("0-9223372036854775807"), "seeds", "too_many_seeds"),
        (lambda g: g.images(range(2**62)), "seeds", "too_many_seeds"),
        (lambda g: g[0 : 2**62 : 2], "seeds", "too_many_seeds"),
        (lambda g: g.images(range(2**63)), "seeds", "too_many_seeds"),
        (lambda g: g.images(range(2**64)), "seeds", "out_of_range"),
        (lambda g: g.images(range(5, -3, -2)), "seeds", "out_of_range"),
        (lambda g: g.use_threads(0), "threads", "out_of_range"),
        (lambda g: seedmint.load("rgb", threads=0), "threads", "out_of_range"),
        (lambda g: seedmint.load("rgb", provider="tpu"), "provider", "unknown_provider"),
    ],
)
def test_a_wrong_value_names_its_field(rgb_api: seedmint.Generator, call, field, reason):
    with pytest.raises(UserError) as error:
        call(rgb_api)
    assert (error.value.field, error.value.reason) == (field, reason)


@pytest.mark.parametrize("seeds", [-1, 2**63, [], [0.5], "x", np.array([-1]), np.array([], int), range(-1, 3)])
def test_wrong_seeds_are_refused(seeds):
    with pytest.raises(UserError):
        seed_array(seeds)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20))
def test_all_forms_of_seeds_are_the_same_array(values):
    expected = np.array(values, np.int64)
    np.testing.assert_array_equal(seed_array(values), expected)
    np.testing.assert_array_equal(seed_array(iter(values)), expected)
    np.testing.assert_array_equal(seed_array(expected), expected)
    np.testing.assert_array_equal(seed_array(",".join(map(str, values))), expected)


def test_labels_by_name_and_by_number():
    classes = ("ant", "bee")
    assert label_array(None, 2, classes) is None
    np.testing.assert_array_equal(label_array(["bee", 0], 2, classes), [1, 0])
    with pytest.raises(UserError) as error:
        label_array(0, 2, ())
    assert error.value.reason == "not_conditional"


def _in_child(generator: seedmint.Generator, pipe) -> None:
    pipe.send(generator.images(range(70)))


@pytest.mark.parametrize(("method", "threads"), [("fork", 1), ("fork", 2), ("spawn", 1), ("forkserver", 1)])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_generates_the_same_images(home: None, method: str, threads: int):
    rgb_api = seedmint.load("rgb", threads=threads)
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    child = context.Process(target=_in_child, args=(rgb_api, there))
    expected = rgb_api.images(range(70))
    child.start()
    assert here.poll(60)
    np.testing.assert_array_equal(here.recv(), expected)
    child.join(30)
    assert child.exitcode == 0


def test_a_forked_child_ends(models: Path):
    """ONNX Runtime waits for ever if the child frees a session whose threads exist in the parent only."""
    code = (
        "import os, sys, seedmint\n"
        "generator = seedmint.load('rgb', threads=2)\n"
        "child = os.fork()\n"
        "if not child: sys.exit(7)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    environment = os.environ | {"SEEDMINT_MODELS": str(models)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 7


def test_a_pickle_is_small_and_refuses_a_changed_file(models: Path, tmp_path: Path):
    path = tmp_path / "rgb.onnx"
    shutil.copy(models / "rgb.onnx", path)
    text = pickle.dumps(seedmint.load(path))
    assert len(text) < 1000
    assert pickle.loads(text).name == "rgb"
    shutil.copy(models / "grey.onnx", path)
    with pytest.raises(UserError) as error:
        pickle.loads(text)
    assert error.value.reason == "wrong_digest"


def test_a_relative_path_survives_a_change_of_the_folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copy(models / "rgb.onnx", tmp_path / "rgb.onnx")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    for generator in (seedmint.load("./rgb.onnx"), seedmint.load(Path("rgb.onnx")), seedmint.load("rgb", models=".")):
        monkeypatch.chdir(tmp_path / "other")
        assert pickle.loads(pickle.dumps(generator)).digest == generator.digest
        monkeypatch.chdir(tmp_path)


def test_threads_share_one_generator(rgb_api: seedmint.Generator):
    expected = rgb_api.images(range(64))
    with ThreadPoolExecutor(8) as pool:
        for images in pool.map(lambda _: rgb_api.images(range(64)), range(32)):
            np.testing.assert_array_equal(images, expected)


def test_import_loads_little(models: Path):
    """Neither `import seedmint` nor a generator needs BentoML, a web framework or torch."""
    code = (
        "import sys, seedmint\n"
        "assert 'numpy' not in sys.modules\n"
        "seedmint.load('rgb').images(range(3))\n"
        "loaded = {'bentoml', 'torch', 'starlette', 'uvicorn', 'prometheus_client', 'onnxscript'} & set(sys.modules)\n"
        "sys.exit(str(loaded) if loaded else 0)\n"
    )
    environment = os.environ | {"SEEDMINT_MODELS": str(models)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@given(st.lists(st.integers(-2, 4), min_size=1, max_size=9))
def test_an_array_of_labels_is_checked_as_a_list_is(values):
    results = []
    for form in (values, np.array(values)):
        try:
            results.append(label_array(form, len(values), ("ant", "bee", "cat")).tolist())
        except UserError as error:
            results.append((error.field, error.reason))
    assert results[0] == results[1]
