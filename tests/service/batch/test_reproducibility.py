"""A plan gives the same bytes with any number of workers, on several machines, and after kills and resumes."""

import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from seedmint.service.batch.engines.base import WorkerDiedError
from seedmint.service.batch.engines.process_pool import run
from seedmint.service.batch.job import begin, finish
from seedmint.service.batch.progress import BatchProgress
from seedmint.service.batch.shard import write_shard
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support.batch_jobs import (
    ROOT,
    batch,
    finished,
    hashes,
    job_status,
    num_generated,
    numbers_of_last_line,
    plan_for,
    start,
    whole,
)
from tests.support.servers import has_ended, wait_until

MODELS = ROOT / "models"


@pytest.mark.parametrize("form", ["webdataset", "parquet", "png", "npz", "npy"])
def test_threads_and_the_order_of_finishing_do_not_change_the_bytes(tmp_path: Path, rgb: Generator, form: str):
    """All shards are written before another thread finishes the first shard."""
    expected = whole(tmp_path, rgb, "0-999", form, 400)
    out = tmp_path / "out"
    plan, output = plan_for(rgb, "0-999", form, 400), open_output(str(out))
    begin(output, plan)
    events: list[BatchProgress] = []
    unfinished = [write_shard(rgb, plan, index, output, events.append, threads=3) for index in range(plan.num_shards)]
    assert sum(event.images for event in events) == 1000
    assert not list(out.glob("records/*.json"))
    assert not list(out.glob("data/[!.]*"))
    with ThreadPoolExecutor() as threads:
        records = list(threads.map(lambda finish: finish(), reversed(unfinished)))
    assert [record.shard for record in records] == [2, 1, 0]
    assert finish(output, plan)
    assert hashes(out) == expected


def test_an_error_of_a_generating_thread_is_raised(tmp_path: Path, rgb: Generator, monkeypatch: pytest.MonkeyPatch):
    plan, output = plan_for(rgb, "0-999", "npy", 1000), open_output(str(tmp_path / "out"))
    begin(output, plan)
    monkeypatch.setattr(rgb, "generate", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_shard(rgb, plan, 0, output, threads=2)
    assert not list((tmp_path / "out/data").iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("generation")]


def test_the_number_of_workers_does_not_change_the_bytes(tmp_path: Path):
    digits = open_generator(MODELS / "digits.onnx")
    expected = whole(tmp_path, digits, "0-1999", "webdataset", 250)
    for workers in (1, 4):
        out = tmp_path / str(workers)
        output = batch(
            "run", "digits", "--seeds", "0-1999", "--shard-size", "250", "--workers", str(workers), "--out", str(out)
        )
        last = output.splitlines()[-1]  # a slow machine shows its progress before
        assert last.startswith(f"2,000 images of digits@{digits.digest12} in {out}, 8 shards, ")
        assert num_generated(output) == 2000
        assert hashes(out) == expected


@pytest.mark.slow
def test_several_machines_share_a_job(tmp_path: Path):
    """All start at once, as in a Kubernetes Indexed Job; the last one writes the manifest."""
    digits = open_generator(MODELS / "digits.onnx")
    expected = whole(tmp_path, digits, "0-999", "npz", 100)
    out = tmp_path / "parts"
    job = ["digits", "--seeds", "0-999", "--format", "npz", "--shard-size", "100", "--workers", "1", "--out", str(out)]
    parts = [start(*job, "--shard-index", str(k), "--num-shards", "3") for k in range(3)]
    outputs = [process.communicate(timeout=120) for process in parts]
    assert [process.returncode for process in parts] == [0, 0, 0], outputs
    assert hashes(out) == expected
    assert sum("10 shards" in stdout for stdout, _ in outputs) >= 1


def test_a_part_makes_only_its_own_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seedmint.service.cli.batch_progress.LINE_SECONDS", 0.0)
    out = tmp_path / "out"
    job = ["digits", "--seeds", "0-999", "--format", "npy", "--shard-size", "100", "--workers", "1", "--out", str(out)]
    output = batch("run", *job, "--shard-index", "1", "--num-shards", "3")
    assert re.search(r"(?m)^part 1 of 3 ", output)
    assert num_generated(output) == 300
    assert re.search(r"(?m)^300 of 300 images, 3 of 3 shards, ", output)  # counts this part only
    assert sorted(path.name for path in (out / "records").iterdir()) == ["000001.json", "000004.json", "000007.json"]
    assert not (out / "manifest.json").exists()
    expected = {"shards": "3 of 10", "images": "300 of 1,000 (30.0%)", "state": "not done"}
    assert expected.items() <= job_status(out).items()
    assert num_generated(batch("run", "digits", "--out", out, "--workers", "1")) == 700
    assert job_status(out)["state"] == "done"
    assert num_generated(batch("run", "digits", "--out", out, "--workers", "1")) == 0


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path, slow: Path):
    generator = open_generator(slow)
    plan = plan_for(generator, "0-1999", "npz", 400)
    expected = whole(tmp_path, generator, "0-1999", "npz", 400)
    output = open_output(str(tmp_path / "out"))
    begin(output, plan)
    images, kills = 0, 0

    def on_progress(event: BatchProgress) -> None:
        nonlocal images, kills
        images += event.images
        if event.images > 0 and kills < 3 and images > 300 * (kills + 1):
            kills += 1
            workers = multiprocessing.active_children()
            os.kill(random.Random(kills).choice(workers).pid or 0, signal.SIGKILL)

    run([slow], output.url, plan, range(plan.num_shards), 2, on_progress)
    assert kills == 3
    assert images == 2000
    output.clean()  # temporary files of the killed workers
    assert finish(output, plan)
    assert hashes(tmp_path / "out") == expected
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_shard_that_kills_every_worker_ends_the_job(tmp_path: Path, slow: Path):
    plan = plan_for(open_generator(slow), "0-799", "npy", 400)
    output = open_output(str(tmp_path / "out"))
    begin(output, plan)

    def on_progress(event: BatchProgress) -> None:
        if event.images > 0:
            for worker in multiprocessing.active_children():
                worker.kill()

    with pytest.raises(WorkerDiedError) as error:
        run([slow], output.url, plan, [0], 1, on_progress)
    assert error.value.reason == "worker_died"
    assert (error.value.shard, error.value.exit_code) == (0, -signal.SIGKILL)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)])
def test_a_signal_stops_a_job_and_the_same_command_resumes_it(tmp_path: Path, slow: Path, number: signal.Signals, code: int):
    expected = whole(tmp_path, open_generator(slow), "0-1199", "npz", 300)
    out = tmp_path / "out"
    job = [slow, "--seeds", "0-1199", "--shard-size", "300", "--format", "npz", "--workers", "2", "--out", out]
    process = start(*job)
    wait_until(lambda: (out / "records").exists(), 60)
    os.killpg(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert numbers_of_last_line(stderr) == [len(list((out / "records").glob("[0-9]*"))), 4]
    assert not [name for name in hashes(out) if Path(name).name.startswith(".")]
    assert len(list((out / "data").iterdir())) < 4
    batch("run", *job)
    assert hashes(out) == expected


@pytest.mark.slow
def test_a_second_signal_does_not_wait(tmp_path: Path, slow: Path):
    """The workers are suspended, so they do not react to the first signal."""
    expected = whole(tmp_path, open_generator(slow), "0-1999", "npz", 2000)
    out = tmp_path / "out"
    job = [slow, "--seeds", "0-1999", "--shard-size", "2000", "--format", "npz", "--workers", "1", "--out", out]
    process = start(*job)
    wait_until(lambda: bool(list(out.glob("data/.shard-*"))), 60)
    family = psutil.Process(process.pid).children(recursive=True)
    for child in family:
        child.suspend()
    try:
        for _ in range(4):  # a signal that arrives before the first one is handled has no effect
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)
                break
        assert process.wait(60) == 130
    finally:
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.resume()
    # after the first signal alone, the last line would have the number of complete shards
    assert not numbers_of_last_line(process.communicate(timeout=60)[1])
    wait_until(lambda: all(map(has_ended, family)))
    batch("run", *job)
    assert hashes(out) == expected


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path: Path, slow: Path):
    """The next run removes their temporary files and resumes the job."""
    expected = whole(tmp_path, open_generator(slow), "0-2999", "npz", 1000)
    out = tmp_path / "out"
    job = [slow, "--seeds", "0-2999", "--shard-size", "1000", "--format", "npz", "--workers", "2", "--out", out]
    process = start(*job)
    wait_until(lambda: bool(list(out.glob("data/.shard-*"))), 60)
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    wait_until(lambda: all(map(has_ended, family)))
    assert not (out / "manifest.json").exists()
    batch("run", *job)
    assert hashes(out) == expected


@pytest.mark.slow
@pytest.mark.parametrize("form", ["webdataset", "png"])
def test_twenty_kills_do_not_change_the_bytes(tmp_path: Path, slow: Path, form: str):
    """kill -9 of all processes, or of one worker first, at any time: while they start, generate, write or record."""
    seeds, shard_size = "0-29999", 150
    expected = whole(tmp_path, open_generator(slow), seeds, form, shard_size)
    out = tmp_path / "out"
    job = [slow, "--seeds", seeds, "--shard-size", str(shard_size), "--format", form, "--out", out, "--workers"]
    chance = random.Random(form)

    def done() -> int:
        return len(list(out.glob("records/*.json")))

    kills = 0
    while kills < 20:
        process = start(*job, str(chance.choice([1, 2, 4])))
        if chance.random() < 0.2:
            time.sleep(chance.uniform(0.0, 1.5))  # the process still starts
        else:
            target = done() + chance.randint(1, 4)
            wait_until(lambda target=target, job=process: done() >= target or job.poll() is not None, 120)  # type: ignore[misc]
            time.sleep(chance.uniform(0.0, 0.2))
        if chance.random() < 0.3 and (workers := psutil.Process(process.pid).children()):
            chance.choice(workers).kill()
            kills += 1
            time.sleep(chance.uniform(0.0, 0.3))
        assert process.poll() is None, f"the job ended before twenty kills: {process.communicate()}"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
    assert 0 < done() < 200
    assert finished(*job, "2")[0] == 0
    assert hashes(out) == expected
    assert len(json.loads((out / "manifest.json").read_text())["shards"]) == 200


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6, 1.0, 1.5])
def test_ctrl_c_while_workers_start_prints_no_traceback(tmp_path: Path, slow: Path, delay: float):
    process = start(slow, "--seeds", "0-99999", "--out", tmp_path / "out", "--workers", "4")
    wait_until(lambda: (tmp_path / "out/plan.json").exists())
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr
    assert process.returncode == 130
