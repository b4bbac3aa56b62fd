"""Two processes of torchrun give the result of one process, except for the order of sums."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from seedmint.training.optimization import distributed
from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.runs.checkpoints import list_checkpoints, load_checkpoint
from seedmint.training.runs.directory import create_run, resume_run
from tests.support.errors import raises
from tests.support.recipes import recipe_document

ROOT = Path(__file__).parents[3]
SLOW, FAST = ({"kind": "momentum", "learning_rate": rate} for rate in (0.02, 0.1))
TOLERANCE = 2e-6  # for weights of 0.1 to 1 after 20 iterations in float32; the largest observed difference is 2e-7
RECIPES = {
    "batch normalization, spectral normalization, labels, ema": {
        "conditional": True,
        "k": 2,
        "rule": {"generator": SLOW, "discriminator": SLOW},
    },
    "dropout, simultaneous": {
        "generator": {"kind": "paper", "width": 32, "init": 0.3},
        "discriminator": {"kind": "paper", "width": 8, "init": 0.3},
        "order": "simultaneous",
        "prior": "uniform",
        "rule": {"generator": FAST, "discriminator": FAST},
    },
}


def torchrun(*arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "-m", "seedmint", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def recipe_file(directory, **fields):
    path = directory / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe_document(**fields)))
    return path


def final(directory):
    return load_checkpoint(list_checkpoints(directory / "checkpoints")[-1][1])


def log(directory):
    return [json.loads(line) for line in (directory / "log.jsonl").open()]


@pytest.mark.parametrize("kind", RECIPES)
def test_two_processes_match_one_process(tmp_path, kind):
    process = torchrun("train", recipe_file(tmp_path, **RECIPES[kind]), "--out", tmp_path / "two")
    recipe, cpu = validate_recipe(recipe_document(**RECIPES[kind]), "test"), torch.device("cpu")
    create_run(tmp_path / "one", recipe, cpu).fit()
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert output.count("all 20 steps are done") == 1
    one, two = final(tmp_path / "one"), final(tmp_path / "two")
    assert one.tensors.keys() == two.tensors.keys()
    for name, tensor in one.tensors.items():
        torch.testing.assert_close(two.tensors[name], tensor, rtol=0, atol=TOLERANCE)
    initial = create_run(tmp_path / "initial", recipe, cpu).algorithm.generator.state_dict()
    largest_change = max(float((tensor - one.tensors[f"generator/{name}"]).abs().max()) for name, tensor in initial.items())
    assert largest_change > 1000 * TOLERANCE, "the weights changed too little to test the agreement"
    for entry, expected in zip(log(tmp_path / "two"), log(tmp_path / "one"), strict=True):
        assert {**entry, "images/s": 0} == pytest.approx({**expected, "images/s": 0}, abs=1e-4)


def test_processes_stop_together_and_one_process_resumes_the_run(tmp_path):
    process = torchrun("train", recipe_file(tmp_path, steps=100_000), "--out", tmp_path / "r")
    while process.poll() is None and not list_checkpoints(tmp_path / "r" / "checkpoints"):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=100)
    assert errors.count("Stopped at step") == 1
    stopped = final(tmp_path / "r").step
    resumed = resume_run(tmp_path / "r", torch.device("cpu"), pytest.fail, [f"steps={stopped + 5}"])
    assert resumed.step == stopped
    resumed.fit()
    assert final(tmp_path / "r").step == stopped + 5


def test_indivisible_minibatch_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    with raises(distributed.DistributedError, "not_divisible", "m"):
        distributed.local_rows(16)
