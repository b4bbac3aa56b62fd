"""The manifest of the Indexed Job that the Helm chart renders. The tests run the command of its pods on this machine."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from seedmint.service.batch.job import begin
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import open_generator
from tests.support import generators
from tests.support.batch_jobs import (
    ROOT,
    batch,
    batch_error,
    finished,
    hashes,
    job_status,
    make_all,
    num_generated,
    plan_for,
    start,
    whole,
)
from tests.support.servers import wait_until

_OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "deploy/batch-job.yaml").read_text()))
(_JOB,) = [manifest for manifest in _OBJECTS if manifest["kind"] == "Job"]
_POD = _JOB["spec"]["template"]["spec"]
(_CONTAINER,) = _POD["containers"]
_VARIABLES = {entry["name"]: entry["value"] for entry in _CONTAINER["env"] if "value" in entry}


@pytest.mark.slow
def test_each_pod_makes_its_part_and_a_killed_pod_resumes(tmp_path: Path):
    slow = generators.put(tmp_path / "slow.onnx", generators.content("slow", 5, idle_trips=20_000))
    expected = whole(tmp_path, open_generator(slow), "0-1599", "webdataset", 100)
    out = tmp_path / "out"
    assert _CONTAINER["args"][:4] == ["seedmint", "batch", "run", "mnist"]
    arguments = [str(slow), *(_processors(text) for text in _CONTAINER["args"][4:])]
    for option, value in (("--seeds", "0-1599"), ("--out", str(out)), ("--shard-size", "100")):
        arguments[arguments.index(option) + 1] = value

    def pod(index: int, pods: int) -> Any:
        assert set(_VARIABLES) == {"JOB_COMPLETIONS"}
        return start(*arguments, JOB_COMPLETIONS=str(pods), JOB_COMPLETION_INDEX=str(index))

    def records() -> set[int]:
        return {int(path.stem) for path in out.glob("records/[0-9]*.json")}

    pods = [pod(index, 2) for index in range(2)]
    wait_until(lambda: any(number % 2 == 1 for number in records()), 60)
    os.killpg(pods[1].pid, signal.SIGKILL)
    pods[1].communicate()
    stdout, stderr = pods[0].communicate(timeout=60)
    assert pods[0].returncode == 0, stderr
    assert num_generated(stdout) == 800
    assert {number for number in records() if number % 2 == 0} == set(range(0, 16, 2))
    assert len(records()) < 16
    assert not (out / "manifest.json").exists()
    restarted = pod(1, 2)
    stdout, stderr = restarted.communicate(timeout=60)
    assert restarted.returncode == 0, stderr
    assert num_generated(stdout) > 0
    assert json.loads((out / "manifest.json").read_text())["totals"]["shards"] == 16
    assert hashes(out) == expected


def _processors(text: str) -> str:
    """Replace the variable in an argument as Kubernetes does, for a limit of one processor."""
    (source,) = [entry["valueFrom"] for entry in _CONTAINER["env"] if entry["name"] == "PROCESSORS"]
    assert source == {"resourceFieldRef": {"containerName": "batch", "resource": "limits.cpu"}}
    return text.replace("$(PROCESSORS)", "1")


def test_the_variable_job_completions_equals_the_number_of_pods():
    assert _JOB["spec"]["completionMode"] == "Indexed"
    assert {"JOB_COMPLETIONS": str(_JOB["spec"]["completions"])} == _VARIABLES


def test_errors_of_all_pods_have_the_exit_status_that_fails_the_job(tmp_path: Path):
    (rule,) = [rule for rule in _JOB["spec"]["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]
    assert rule["onExitCodes"] == {"containerName": _CONTAINER["name"], "operator": "In", "values": [2]}
    digits = open_generator(ROOT / "models/digits.onnx")
    begin(open_output(str(tmp_path)), plan_for(digits, "0-9", "npy"))
    for options in (["--no-such-option"], ["--labels", "none"], ["--seeds", "0-8", "--format", "npy"]):
        status, _, stderr = finished("digits", "--out", tmp_path, *options)
        assert status == 2, stderr
    with open_output(str(tmp_path)).lock(shared=False):
        assert finished("digits", "--out", tmp_path)[0] == 1  # another job is writing to the output; a later try succeeds


_SPLITS = ["--split", "train=0-149", "--split", "test=200-249", "--labels", "3:2,7:1", "--shard-size", "40", "--workers", "1"]


@pytest.mark.slow
def test_pods_share_a_job_with_splits_and_weights(tmp_path: Path):
    assert finished("digits", *_SPLITS, "--out", tmp_path / "one")[0] == 0
    for index in ("1", "0"):
        pod = start("digits", *_SPLITS, "--out", tmp_path / "two", JOB_COMPLETIONS="2", JOB_COMPLETION_INDEX=index)
        _, stderr = pod.communicate(timeout=120)
        assert pod.returncode == 0, stderr
    assert hashes(tmp_path / "two") == hashes(tmp_path / "one")


def test_with_the_index_alone_only_run_needs_the_number_of_pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Kubernetes sets the index in each pod; the manifest sets the number of pods."""
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    job = ["digits", "--seeds", "0-99", "--shard-size", "25", "--format", "npy", "--out", str(tmp_path / "out")]
    error = batch_error("run", *job)
    assert (error.field, error.reason, error.status) == ("num_shards", "missing", 2)
    assert not (tmp_path / "out").exists()

    def shown(*arguments: str) -> str:
        return dict(line.split(maxsplit=1) for line in batch(*arguments).splitlines())["images"]

    assert shown("run", *job, "--dry-run") == shown("estimate", *job) == "100"
    digits = open_generator(ROOT / "models/digits.onnx")
    make_all(open_output(str(tmp_path / "out")), plan_for(digits, "0-99", "npy", 25), digits)
    assert job_status(tmp_path / "out")["state"] == "done"
    batch("verify", str(tmp_path / "out"))
    monkeypatch.setenv("JOB_COMPLETIONS", "3")
    assert shown("run", *job, "--dry-run") == "25, 0 of them missing"  # shard 1 of shards 0 to 3


def test_a_dry_run_writes_nothing_and_checks_the_arguments(tmp_path: Path):
    out = tmp_path / "out"
    batch("run", "digits", "--seeds", "0-99", "--out", str(out), "--dry-run", "--shard-index", "0", "--num-shards", "2")
    assert not out.exists()
    error = batch_error(
        "run", "digits", "--seeds", "0-99", "--out", str(out), "--dry-run", "--shard-index", "2", "--num-shards", "2"
    )
    assert (error.field, error.reason) == ("shard_index", "out_of_range")
