"""One contract for all engines: shards made in this process, by the process pool, and by Ray."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from seedmint.models.directory import SHIPPED, find_generator
from seedmint.models.errors import UserError
from seedmint.service.batch.engines import process_pool
from seedmint.service.batch.job import begin, finish, open_plan_generators
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.progress import BatchProgress, OnProgress, ignore_progress
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators
from tests.support.batch_jobs import ROOT, hashes, make_all, plan_for, whole

Engine = Callable[[Sequence[Path], str, Plan, Sequence[int], OnProgress], None]


def in_process(paths: Sequence[Path], url: str, plan: Plan, shards: Sequence[int], on_progress: OnProgress) -> None:
    opened = open_plan_generators(paths, plan)
    for index in shards:
        make_shard(opened[plan.part_of(index).generator], plan, index, open_output(url), on_progress)
        on_progress(BatchProgress(0, 1))


def pool(paths: Sequence[Path], url: str, plan: Plan, shards: Sequence[int], on_progress: OnProgress) -> None:
    process_pool.run(paths, url, plan, shards, 2, on_progress)


def threaded_pool(paths: Sequence[Path], url: str, plan: Plan, shards: Sequence[int], on_progress: OnProgress) -> None:
    process_pool.run(paths, url, plan, shards, 1, on_progress, threads=2)


def ray(paths: Sequence[Path], url: str, plan: Plan, shards: Sequence[int], on_progress: OnProgress) -> None:
    from seedmint.service.batch.engines import ray_cluster

    ray_cluster.run(paths, url, plan, shards, 2, on_progress)


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """A cluster of one node for all tests with Ray. To start one for each run of the engine would take seconds."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(ROOT))  # Seedmint must be importable on the node
        options = {"num_cpus": 2, "object_store_memory": 80 << 20, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=options)
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


@pytest.fixture(params=[in_process, pool, threaded_pool, pytest.param(ray, marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    chosen: Engine = request.param
    if chosen is ray:
        monkeypatch.setenv("RAY_ADDRESS", request.getfixturevalue("ray_address"))
    else:
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return chosen


@pytest.mark.parametrize("shard_format", ["webdataset", "png"])
def test_the_bytes_are_the_same(tmp_path: Path, models: Path, rgb: Generator, engine: Engine, shard_format: str):
    expected = whole(tmp_path, rgb, "0-99,7000-7099", shard_format, 30)
    plan, output = plan_for(rgb, "0-99,7000-7099", shard_format, 30), open_output(str(tmp_path / "out"))
    begin(output, plan)
    events: list[BatchProgress] = []
    engine([models / "rgb.onnx"], output.url, plan, [6, 0, 3], events.append)
    assert sorted(output.names("records")) == ["000000.json", "000003.json", "000006.json"]
    assert (sum(event.images for event in events), sum(event.shards for event in events)) == (80, 3)
    engine([models / "rgb.onnx"], output.url, plan, [5, 4, 2, 1], events.append)
    assert (sum(event.images for event in events), sum(event.shards for event in events)) == (200, 7)
    assert finish(output, plan)
    assert hashes(tmp_path / "out") == expected


def test_each_shard_is_made_by_its_generator(tmp_path: Path, models: Path, rgb: Generator, engine: Engine):
    other = generators.write(tmp_path, "other", 9, classes=("one", "two"), output=rgb.card.output)
    pair = [rgb, open_generator(other)]
    plan, output = plan_for(pair, "0-99", "npz", 30), open_output(str(tmp_path / "out"))
    make_all(open_output(str(tmp_path / "whole")), plan, pair)
    begin(output, plan)
    engine([models / "rgb.onnx", other], output.url, plan, range(8), ignore_progress)
    assert finish(output, plan)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")


def test_all_engines_keep_the_same_images(tmp_path: Path, engine: Engine):
    path = find_generator("digits", SHIPPED)
    generator = open_generator(path)
    plan = plan_for(generator, "0-149", "npz", 40, filter="margin > 0.95")
    make_all(open_output(str(tmp_path / "whole")), plan, generator)
    output = open_output(str(tmp_path / "out"))
    begin(output, plan)
    engine([path], output.url, plan, range(plan.num_shards), ignore_progress)
    assert finish(output, plan)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")


def test_another_generator_is_an_error(tmp_path: Path, models: Path, rgb: Generator, engine: Engine):
    plan, output = plan_for(rgb), open_output(str(tmp_path / "out"))
    begin(output, plan)
    events: list[BatchProgress] = []
    with pytest.raises(UserError) as error:
        engine([models / "grey.onnx"], output.url, plan, [0, 1], events.append)
    assert (error.value.field, error.value.reason) == ("model", "other_generator")
    assert events == []
    assert list(output.names("records")) == list(output.names("data")) == []


def test_an_error_of_the_output_is_raised(tmp_path: Path, models: Path, rgb: Generator, engine: Engine):
    plan, output = plan_for(rgb, form="npy"), open_output(str(tmp_path / "out"))
    begin(output, plan)
    (tmp_path / "out/records").write_text("not a folder")
    events: list[BatchProgress] = []
    with pytest.raises(OSError) as error:  # noqa: PT011  # its file is checked
        engine([models / "rgb.onnx"], output.url, plan, [0, 1], events.append)
    assert (tmp_path / "out/records") in (Path(error.value.filename), Path(error.value.filename).parent)
    assert not any(event.shards for event in events)
