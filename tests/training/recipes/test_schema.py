import pytest
import yaml

from seedmint.training.recipes.files import load_recipe, shipped_recipes
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
    again = validate_recipe(yaml.safe_load(recipe.to_yaml()), "again")
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
        ("rule.generator.learning_rate=-1", "rule.generator.adam.learning_rate"),
        ("rule.generator.kind=sgd", "rule.generator"),
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
        ("rule.generator.floor=1", "rule.generator.adam"),
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
        ("generator={kind: mlp, layers: 0}", "generator.mlp.layers"),
    ],
)
def test_wrong_overrides_are_refused(tmp_path, override, field):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path), [override])
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


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


def test_unknown_recipe_is_refused():
    with raises(RecipeError, "not_found", "recipe"):
        load_recipe("nowhere")


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
