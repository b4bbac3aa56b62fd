"""Filters keep the same images on every machine; the refused seeds are recorded, and all files agree with the records."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from seedmint.models.directory import SHIPPED, find_generator
from seedmint.models.errors import UserError
from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.classifier import FilterError, open_classifier
from seedmint.service.batch.completeness import damaged_shards, missing_shards
from seedmint.service.batch.engines.process_pool import run
from seedmint.service.batch.estimate import estimate_size
from seedmint.service.batch.filter_rule import FilterRule
from seedmint.service.batch.job import begin, finish
from seedmint.service.batch.plan import PlanError
from seedmint.service.batch.plan_comparison import check_same
from seedmint.service.batch.progress import ignore_progress
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support.batch_jobs import batch, batch_error, hashes, make_all, plan_for
from tests.support.errors import raises

RULE = "margin > 0.995"
SEEDS = "0-149,1000-1049"


@pytest.fixture(scope="module")
def digits() -> Generator:
    return open_generator(find_generator("digits", SHIPPED))


def kept(generator: Generator, rule: str = RULE) -> list[int]:
    """Return the seeds whose images have the score, one image at a time."""
    classifier, seeds = open_classifier("cnn-v2-digits"), parse_seeds(SEEDS).array()
    found = []
    for seed in seeds:
        label = generator.labels(np.array([seed]))
        probabilities = classifier.probabilities(generator.generate(np.array([seed]), label))
        if FilterRule(rule).accepts(probabilities, label)[0]:
            found.append(int(seed))
    return found


@pytest.mark.parametrize("form", ["webdataset", "parquet", "png", "npz", "npy"])
def test_a_filtered_job_has_the_kept_images_only(tmp_path: Path, digits: Generator, form: str):
    out = tmp_path / "out"
    plan, output = plan_for(digits, SEEDS, form, 64, filter=RULE), open_output(str(out))
    make_all(output, plan, digits)
    expected = kept(digits)
    assert 0 < len(expected) < 200
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["totals"]["images"] == len(expected) == sum(shard["accepted"] for shard in manifest["shards"])
    assert manifest["totals"]["seeds"] == 200 == sum(shard["count"] for shard in manifest["shards"])
    refused = [seed for shard in manifest["shards"] for seed in parse_seeds(shard["refused"]).array().tolist()]
    assert sorted(refused + expected) == parse_seeds(SEEDS).array().tolist()
    assert manifest["filter"]["model"] == open_classifier("cnn-v2-digits").digest
    if form in ("png", "npy"):
        assert pq.read_table(out / "data/metadata.parquet")["seed"].to_pylist() == expected
    if form == "npz":
        arrays = [np.load(path) for path in sorted((out / "data").iterdir())]
        assert np.concatenate([array["seeds"] for array in arrays]).tolist() == expected
        images = digits.generate(np.array(expected), digits.labels(np.array(expected)))
        np.testing.assert_array_equal(np.concatenate([array["images"] for array in arrays]), images)
    if form == "png":
        assert {int(path.stem) for path in out.rglob("*.png")} == set(expected)
    assert list(verify(output, plan, [digits], ignore_progress, every_value=True)) == []
    complete = ~np.isin(np.arange(plan.num_shards), missing_shards(output, plan))
    assert complete.all()
    assert not damaged_shards(output, plan, complete).any()


@pytest.mark.parametrize("form", ["png", "npy"])
def test_workers_order_and_interruptions_do_not_change_a_filtered_job(tmp_path: Path, digits: Generator, form: str):
    plan = plan_for(digits, SEEDS, form, 64, filter=RULE)
    make_all(open_output(str(tmp_path / "one")), plan, digits, backwards=True)
    output = open_output(str(tmp_path / "two"))
    begin(output, plan)
    path = find_generator("digits", SHIPPED)
    run([path], output.url, plan, [2, 0], 1, ignore_progress)
    run([path], output.url, plan, missing_shards(output, plan).tolist(), 2, ignore_progress, 1)
    assert finish(output, plan)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


@pytest.mark.parametrize("form", ["webdataset", "parquet", "png", "npz", "npy"])
def test_a_filter_may_refuse_every_image(tmp_path: Path, digits: Generator, form: str):
    plan, output = plan_for(digits, "0-99", form, 50, filter="confidence < 0"), open_output(str(tmp_path / "out"))
    make_all(output, plan, digits)
    totals = json.loads((tmp_path / "out/manifest.json").read_text())["totals"]
    assert (totals["images"], totals["seeds"]) == (0, 100)
    assert list(verify(output, plan, [digits], ignore_progress, every_value=True)) == []
    if form == "npz":
        with np.load(tmp_path / "out/data/shard-000000.npz") as arrays:
            assert (arrays["images"].shape, arrays["labels"].shape) == ((0, 8, 8, 1), (0,))


def test_a_changed_choice_is_a_fault(tmp_path: Path, digits: Generator):
    plan, output = plan_for(digits, SEEDS, "npz", 64, filter=RULE), open_output(str(tmp_path / "out"))
    make_all(output, plan, digits)
    other = plan_for(digits, SEEDS, "npz", 64, filter="margin > 0.9")
    make_all(open_output(str(tmp_path / "other")), other, digits)
    record = json.loads((tmp_path / "other/records/000001.json").read_text()) | {"plan": plan.digest}
    (tmp_path / "out/records/000001.json").write_text(json.dumps(record))
    shard = "data/shard-000001.npz"
    (tmp_path / "out" / shard).write_bytes((tmp_path / "other" / shard).read_bytes())
    faults = list(verify(output, plan, [digits], ignore_progress, every_value=True))
    assert ("other_values", 1) in [(fault.reason, fault.shard) for fault in faults]


@pytest.mark.parametrize("form", ["webdataset", "png", "npz"])
def test_the_estimate_counts_the_kept_images(tmp_path: Path, digits: Generator, form: str):
    plan = plan_for(digits, "0-999", form, 250, filter=RULE)
    estimate = estimate_size([digits], plan, plan.count)
    make_all(open_output(str(tmp_path / "out")), plan, digits)
    sizes = [path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert estimate.bytes == pytest.approx(sum(sizes), rel=0.05)


def test_the_command_and_another_filter(tmp_path: Path):
    out = tmp_path / "out"
    batch("run", "digits", "--seeds", "0-99", "--out", out, "--filter", " margin>0.90 ", "--workers", "1")
    assert json.loads((out / "plan.json").read_text())["filter"]["rule"] == "margin > 0.9"
    batch("run", "digits", "--out", out)
    batch("verify", out, "--all")
    error = batch_error("run", "digits", "--out", out, "--filter", "margin > 0.8")
    assert (error.field, error.reason) == ("filter", "other_plan")


@pytest.mark.parametrize("rule", ["", "margin", "margin = 1", "margin > 2", "size > 0.5", "margin > 0.9 and", "margin > -0.1"])
def test_a_malformed_rule_is_an_error(rule: str):
    with raises(UserError, "malformed_filter", "filter"):
        FilterRule(rule)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("margin > 0.5", [True, False, False]),
        ("margin <= 0.5", [False, True, True]),
        ("confidence >= 0.75", [True, True, False]),
        ("label_confidence < 0.25", [False, False, True]),
    ],
)
def test_rules_compare_scores(rule: str, expected: list[bool]):
    probabilities = np.array([[0.875, 0.125, 0], [0.25, 0.75, 0], [0.5, 0.375, 0.125]], np.float32)
    assert FilterRule(rule).accepts(probabilities, np.array([0, 1, 2])).tolist() == expected


def test_a_filter_needs_a_classifier_of_the_data(rgb: Generator, digits: Generator):
    with raises(FilterError, "no_classifier", "filter"):
        plan_for(rgb, filter=RULE)
    paper = open_generator(find_generator("mnist-paper", SHIPPED))  # has no labels
    with raises(FilterError, "not_conditional", "filter"):
        plan_for(paper, filter="label_confidence > 0.5")
    assert plan_for(paper, filter=RULE).filter is not None
    with raises(PlanError, "other_plan", "filter"):
        check_same(plan_for(digits, filter=RULE), plan_for(digits), "out")


@pytest.mark.parametrize("name", ["cnn-v2-digits", "cnn-v2-icons", "cnn-v2-mnist", "cnn-v2-fashion-mnist"])
def test_shipped_classifiers_are_exact_here(name: str):
    assert open_classifier(name).determinism == "exact"
