import pytest
import yaml

from seedmint.training.recipes.files import load_recipe, shipped_recipes
from seedmint.training.recipes.schema import RecipeError, validated
from tests.support.recipes import recipe_document


def write(tmp_path, **fields):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe_document(**fields)))
    return str(path)


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_valid_and_named_as_their_files(name):
    assert load_recipe(name).name == name


def test_a_recipe_reads_back_from_its_yaml(tmp_path):
    recipe = load_recipe(write(tmp_path))
    again = validated(yaml.safe_load(recipe.to_yaml()), "again")
    assert (again, again.digest()) == (recipe, recipe.digest())


def test_overrides_change_fields_by_their_path(tmp_path):
    path = write(tmp_path)
    recipe = load_recipe(
        path, ["steps=7", "rule.generator.learning_rate=1e-5", "every.log=2", "objective=minimax", "data.source=mnist", "k=2"]
    )
    assert (recipe.steps, recipe.rule.generator.learning_rate, recipe.every.log, recipe.k) == (7, 1e-5, 2, 2)
    assert (recipe.objective, recipe.data.source) == ("minimax", "mnist")
    assert recipe.digest() != load_recipe(path).digest()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps", "field=value"),
        ("=3", "field=value"),
        ("stepps=3", "stepps"),
        ("steps=many", "steps"),
        ("steps=0", "steps"),
        ("rule.generator.learning_rate=-1", "learning_rate"),
        ("rule.generator.kind=sgd", "rule.generator"),
        ("steps.a=1", "steps holds a value"),
        ("data.source=cifar", "data.source"),
        ("data.source=folder", "path is missing"),
        ("generator.kind=resnet", "generator"),
        ("prior=cauchy", "prior"),
        ("steps=[1", "not YAML"),
        ("ema=.nan", "ema"),
        ("name=Not OK", "name"),
        ("k=true", "k"),
        ("seed=4294967296", "seed"),
        ("rule.generator.floor=1", "floor 1"),
        ("order=parallel", "order"),
        ("precision=float16", "precision"),
        ("data.first=0", "data.first"),
        ("metrics=[parzen]", "metrics and every.evaluate go together"),
        ("every.evaluate=10", "metrics and every.evaluate go together"),
        ("metrics=[beauty]", r"metrics\.0"),
        ("every.evaluate=0", "every.evaluate"),
        ("watch.reports=0", "watch.reports"),
        ("watch.saturation=0.5", "watch.saturation"),
        ("watch.epsilon=.inf", "watch.epsilon"),
        ("watch.collapse=1", "watch.collapse"),
        ("watch.stop=true", "watch.stop"),
        ("data.source=table", "path is missing"),
        ("data.source=series", "path is missing"),
        ("data.columns=[a]", "columns and label are for source table alone"),
        ("data.label=a", "columns and label are for source table alone"),
        ("data={source: sines, path: x}", "path is for other sources: sines is generated"),
        ("data={source: table, path: x, columns: []}", "data.columns"),
        ("data={source: table, path: x, side: 8}", "side and channels"),
        ("generator={kind: mlp, layers: 0}", "generator.mlp.layers"),
    ],
)
def test_a_wrong_override_is_named(tmp_path, override, message):
    with pytest.raises(RecipeError, match=message) as error:
        load_recipe(write(tmp_path), [override])
    assert "\n" not in str(error.value)


def test_the_simultaneous_order_makes_one_d_step_an_iteration(tmp_path):
    path = write(tmp_path, order="simultaneous")
    assert load_recipe(path).order == "simultaneous"
    with pytest.raises(RecipeError, match="k: the simultaneous order"):
        load_recipe(path, ["k=2"])


def test_metrics_and_how_often_come_together(tmp_path):
    recipe = load_recipe(write(tmp_path), ["metrics=[parzen]", "every.evaluate=10"])
    assert (recipe.metrics, recipe.every.evaluate) == (["parzen"], 10)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: 1\na: 2", "a: !!python/object/apply:os.system ['true']"])
def test_files_that_are_no_recipe_are_named(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"x\.yaml"):
        load_recipe(str(path))


def test_an_unknown_recipe_lists_those_there_are():
    with pytest.raises(RecipeError, match="digits"):
        load_recipe("nowhere")


def test_a_binary_file_is_no_recipe(tmp_path):
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not a text file"):
        load_recipe(str(tmp_path / "x"))


def test_the_digest_does_not_depend_on_where_the_data_lie(tmp_path):
    one, two = (load_recipe(write(tmp_path), ["data.source=npz", f"data.path={place}"]) for place in ("/a/x.npz", "b.npz"))
    assert one.digest() == two.digest()
    assert one.published()["data"]["path"] is None


@pytest.mark.parametrize(
    ("source", "metric", "fits"),
    [
        ("digits", "marginals", False),
        ("ring-2d", "parzen", False),
        ("sines", "ring", False),
        ("ring-2d", "ring", True),
        ("sines", "correlations", True),
    ],
)
def test_metrics_must_apply_to_the_data(tmp_path, source, metric, fits):
    overrides = [f"data.source={source}", f"metrics=[{metric}]", "every.evaluate=5"]
    if fits:
        assert load_recipe(write(tmp_path), overrides).metrics == [metric]
    else:
        with pytest.raises(RecipeError, match=f"metrics: {metric} does not apply to data of source {source}"):
            load_recipe(write(tmp_path), overrides)
