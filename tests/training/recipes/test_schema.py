import re

import pytest
import yaml

from seedmint.training.cli.front_door import is_data_path
from seedmint.training.recipes.commented import commented_yaml
from seedmint.training.recipes.files import load_recipe, shipped_recipes
from seedmint.training.recipes.networks import ResidualGenerator
from seedmint.training.recipes.schedules import Schedule, value_at
from seedmint.training.recipes.schema import RecipeError, validate_recipe
from tests.support.errors import raises
from tests.support.recipes import recipe_document


def write(tmp_path, **fields):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe_document(**fields)))
    return str(path)


@pytest.mark.parametrize("name", shipped_recipes())
def test_names_of_shipped_recipes_match_their_files(name):
    assert load_recipe(name).name == name


def test_yaml_round_trip(tmp_path):
    recipe = load_recipe(write(tmp_path))
    again = validate_recipe(yaml.safe_load(commented_yaml(recipe.document(), {})), "again")
    assert (again, again.digest()) == (recipe, recipe.digest())


def test_overrides(tmp_path):
    path = write(tmp_path)
    recipe = load_recipe(
        path, ["steps=7", "rule.generator.learning_rate=1e-5", "every.log=2", "objective=minimax", "data.source=mnist", "k=2"]
    )
    assert (recipe.steps, recipe.rule.generator.learning_rate, recipe.every.log, recipe.k) == (7, 1e-5, 2, 2)
    assert (recipe.objective, recipe.data.source) == ("minimax", "mnist")
    assert recipe.digest() != load_recipe(path).digest()


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ("steps", "set"),
        ("=3", "set"),
        ("stepps=3", "stepps"),
        ("steps=many", "steps"),
        ("steps=0", "steps"),
        ("rule.generator.learning_rate=-1", "rule.generator.learning_rate"),
        ("rule.generator.kind=sgd", "rule.generator"),
        ("rule.generator.learning_rate={start: 1e-3, end: 0, steps: 9}", "rule.generator.learning_rate"),
        ("rule.generator.learning_rate={start: 1e-3, end: 1e-4}", "rule.generator.learning_rate.steps"),
        ("rule.generator.learning_rate={start: 1e-3, end: 1e-4, steps: 9, shape: step}", "rule.generator.learning_rate.shape"),
        ("rule.generator={kind: adam, learning_rate: {start: 1, end: 2, steps: 9}, decay: 1.1}", "rule.generator"),
        ("rule.generator.beta2=1", "rule.generator.beta2"),
        ("rule.generator.warmup=-1", "rule.generator.warmup"),
        ("ema={start: 0.9, end: 1, steps: 9}", "ema"),
        ("objective=wgan", "objective"),
        ("penalty.r1=-1", "penalty.r1"),
        ("penalty.r1=many", "penalty.r1"),
        ("penalty.every=4", "penalty"),
        ("penalty={r1: 1, every: 0}", "penalty.every"),
        ("augmentation.kind=blur", "augmentation"),
        ("augmentation={kind: diffaugment, transforms: [zoom]}", "augmentation.transforms.0"),
        ("augmentation={kind: diffaugment, transforms: []}", "augmentation.transforms"),
        ("augmentation={kind: ada, adaptive: false}", "augmentation"),
        ("augmentation={kind: ada, p: {start: 0, end: 1, steps: 9}}", "augmentation"),
        ("augmentation={kind: ada, adaptive: false, p: 1.5}", "augmentation.p"),
        ("generator={kind: residual, capacity: huge}", "generator.capacity"),
        ("generator={kind: residual, width: 0}", "generator.width"),
        ("discriminator={kind: mlp, spectral_norm: 1}", "discriminator.spectral_norm"),
        ("discriminator={kind: mlp, octaves: 17}", "discriminator.octaves"),
        ("generator={kind: mlp, octaves: 2}", "generator.octaves"),
        ("steps.a=1", "steps.a"),
        ("data.source=cifar", "data.source"),
        ("data.source=folder", "data"),
        ("generator.kind=resnet", "generator"),
        ("prior=cauchy", "prior"),
        ("steps=[1", "steps"),
        ("ema=.nan", "ema"),
        ("name=Not OK", "name"),
        ("k=true", "k"),
        ("seed=4294967296", "seed"),
        ("rule.generator.floor=1", "rule.generator"),
        ("order=parallel", "order"),
        ("precision=float16", "precision"),
        ("data.first=0", "data.first"),
        ("metrics=[parzen]", None),
        ("every.evaluate=10", None),
        ("metrics=[beauty]", "metrics.0"),
        ("every.evaluate=0", "every.evaluate"),
        ("watch.reports=0", "watch.reports"),
        ("watch.saturation=0.5", "watch.saturation"),
        ("watch.epsilon=.inf", "watch.epsilon"),
        ("watch.collapse=1", "watch.collapse"),
        ("watch.stop=true", "watch.stop"),
        ("data.source=table", "data"),
        ("data.source=series", "data"),
        ("data.columns=[a]", "data"),
        ("data.label=a", "data"),
        ("data={source: sines, path: x}", "data"),
        ("data={source: table, path: x, columns: []}", "data.columns"),
        ("data={source: table, path: x, side: 8}", "data"),
        ("generator={kind: mlp, layers: 0}", "generator.layers"),
    ],
)
def test_wrong_overrides_are_refused(tmp_path, override, field):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path), [override])
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "field", "suggestion"),
    [
        ("stepps=3", "stepps", "steps"),
        ("rule.generator.learning_rat=1", "rule.generator.learning_rat", "learning_rate"),
        ("rule.generator.momentun=0.9", "rule.generator.momentun", None),  # a field of another optimizer
        ("generator.widht=3", "generator.widht", "width"),
        ("penalty={r1: 1, evry: 2}", "penalty.evry", "every"),
        ("ema={start: 0.9, end: 0.99, step: 9, steps: 9}", "ema.step", "steps"),
        ("augmentation={kind: ada, tranforms: [flip]}", "augmentation.tranforms", "transforms"),
    ],
)
def test_unknown_fields_name_the_most_similar_field(tmp_path, override, field, suggestion):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path), [override])
    assert caught.value.field == field
    words = re.findall(r"\w+", str(caught.value))
    assert "momentum" not in words
    assert suggestion is None or suggestion in words


def test_augmentation_needs_images(tmp_path):
    overrides = ["data.source=ring-2d", "augmentation={kind: diffaugment}"]
    with raises(RecipeError, "invalid_recipe", "augmentation"):
        load_recipe(write(tmp_path, generator={"kind": "mlp"}, discriminator={"kind": "mlp"}), overrides)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("linear", [2.0, 1.75, 1.5, 1.25, 1.0, 1.0]),
        ("cosine", [2.0, 1.853553, 1.5, 1.146447, 1.0, 1.0]),
        ("geometric", [2.0, 1.681793, 1.414214, 1.189207, 1.0, 1.0]),
    ],
)
def test_schedules(shape, expected):
    schedule = Schedule(start=2.0, end=1.0, steps=4, shape=shape)
    assert [value_at(schedule, update) for update in range(6)] == pytest.approx(expected, abs=1e-6)
    assert value_at(schedule, -3) == 2.0
    assert value_at(0.25, 10) == 0.25


def test_a_geometric_schedule_needs_values_above_0(tmp_path):
    schedule = "{start: 1, end: 0, steps: 9, shape: %s}"
    load_recipe(write(tmp_path), ["penalty.r1=" + schedule % "linear"])
    with raises(RecipeError, "invalid_recipe", "penalty.r1"):
        load_recipe(write(tmp_path), ["penalty.r1=" + schedule % "geometric"])


def test_capacities_and_their_overrides():
    sizes = [ResidualGenerator(kind="residual", capacity=name).size for name in ("small", "medium", "large")]
    assert sizes == sorted(sizes)
    assert ResidualGenerator(kind="residual", capacity="small", width=20, blocks=3).size == (20, 128, 3)
    assert ResidualGenerator(kind="residual", capacity="small", width=200).size.max_width == 200


def test_simultaneous_order_requires_k_1(tmp_path):
    path = write(tmp_path, order="simultaneous")
    assert load_recipe(path).order == "simultaneous"
    with raises(RecipeError, "invalid_recipe"):
        load_recipe(path, ["k=2"])


def test_metrics_and_their_interval_are_accepted(tmp_path):
    recipe = load_recipe(write(tmp_path), ["metrics=[parzen]", "every.evaluate=10"])
    assert (recipe.metrics, recipe.every.evaluate) == (["parzen"], 10)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: 1\na: 2", "a: !!python/object/apply:os.system ['true']"])
def test_files_without_a_recipe_are_refused(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with raises(RecipeError):
        load_recipe(str(path))


@pytest.mark.parametrize("name", ["nowhere", "a" * 5000, "a\0b", "a\ud800"])
def test_unknown_recipe_is_refused(name):
    assert not is_data_path(name)
    with raises(RecipeError, "not_found", "recipe"):
        load_recipe(name)
    with raises(RecipeError, field="data.path"):
        validate_recipe({**recipe_document(), "data": {"source": "table", "path": name * 60}}, "r")


def test_binary_file_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    with raises(RecipeError, "not_yaml"):
        load_recipe(str(tmp_path / "x"))


def test_digest_is_independent_of_the_data_path(tmp_path):
    one, two = (load_recipe(write(tmp_path), ["data.source=npz", f"data.path={place}"]) for place in ("/a/x.npz", "b.npz"))
    assert one.digest() == two.digest()
    assert one.published()["data"]["path"] is None


@pytest.mark.parametrize(
    ("source", "metric", "applies"),
    [
        ("digits", "marginals", False),
        ("ring-2d", "parzen", False),
        ("sines", "ring", False),
        ("ring-2d", "ring", True),
        ("sines", "correlations", True),
    ],
)
def test_metrics_must_apply_to_the_data(tmp_path, source, metric, applies):
    overrides = [f"data.source={source}", f"metrics=[{metric}]", "every.evaluate=5"]
    if applies:
        assert load_recipe(write(tmp_path), overrides).metrics == [metric]
    else:
        with raises(RecipeError, "invalid_recipe"):
            load_recipe(write(tmp_path), overrides)
