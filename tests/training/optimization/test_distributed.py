"""Two processes of a run give the result of one process, except for the order of sums."""

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
from tests.support.servers import free_port
from tests.support.training_processes import run_command

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


def torchrun_variables(rank, port):
    """Return the environment variables of a process that torchrun starts."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    return {name: str(number) for name, number in numbers.items()} | {
        "MASTER_ADDR": "127.0.0.1",
        "TORCHELASTIC_RUN_ID": "test",
    }


def recipe_file(directory, **fields):
    path = directory / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe_document(**fields)))
    return path


def final(directory):
    return load_checkpoint(list_checkpoints(directory / "checkpoints")[-1][1])


def log(directory):
    return [json.loads(line) for line in (directory / "log.jsonl").open()]


@pytest.mark.parametrize("kind", RECIPES)
def test_two_processes_match_one_process(tmp_path, processes, kind):
    arguments = ["train", str(recipe_file(tmp_path, **RECIPES[kind])), "--out", str(tmp_path / "two")]
    outputs, port = [tmp_path / f"output-{rank}" for rank in range(2)], free_port()
    ranks = [
        processes.Process(target=run_command, args=(arguments, output, torchrun_variables(rank, port)))
        for rank, output in enumerate(outputs)
    ]
    for process in ranks:
        process.start()
    recipe, cpu = validate_recipe(recipe_document(**RECIPES[kind]), "test"), torch.device("cpu")
    create_run(tmp_path / "one", recipe, cpu).fit()
    for process in ranks:
        process.join(200)
    printed = "".join(output.read_text() for output in outputs)
    assert [process.exitcode for process in ranks] == [0, 0], printed
    assert printed.count("all 20 steps are done") == 1
    one, two = final(tmp_path / "one"), final(tmp_path / "two")
    assert one.tensors.keys() == two.tensors.keys()
    for name, tensor in one.tensors.items():
        torch.testing.assert_close(two.tensors[name], tensor, rtol=0, atol=TOLERANCE)
    initial = create_run(tmp_path / "initial", recipe, cpu).algorithm.generator.state_dict()
    largest_change = max(float((tensor - one.tensors[f"generator/{name}"]).abs().max()) for name, tensor in initial.items())
    assert largest_change > 1000 * TOLERANCE, "the weights changed too little to test the agreement"
    for entry, expected in zip(log(tmp_path / "two"), log(tmp_path / "one"), strict=True):
        assert {**entry, "images/s": 0} == pytest.approx({**expected, "images/s": 0}, abs=1e-4)


@pytest.mark.slow
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
