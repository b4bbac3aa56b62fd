"""The jobs API: submit, watch, download and cancel jobs; jobs survive the server and have the bytes of the command line."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from seedmint.cli import main
from seedmint.models.card import ImageOutput
from seedmint.models.directory import SHIPPED, find_generator
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import open_generator
from tests.http.test_metrics import value
from tests.http.test_problems import check
from tests.support import generators
from tests.support.batch_jobs import hashes, job_status, make_all, plan_for
from tests.support.commandline import run
from tests.support.fixtures import CLASSES, POINT, fill
from tests.support.servers import Server, has_ended, serving, wait_until

SLOW_TRIPS = 120_000  # idle loop iterations in each run of 64 images
SLOW: dict[str, Any] = {"model": "slow", "seeds": "0-1023", "shard_size": 64}
SHARDS = 16


class KilledError(Exception):
    """The test has killed its server."""


def slow_models(directory: Path) -> Path:
    generators.write(directory, "slow", 5, classes=CLASSES, idle_trips=SLOW_TRIPS)
    return directory


@pytest.fixture(scope="module")
def all_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = slow_models(fill(tmp_path_factory.mktemp("models")))
    generators.write(directory, "point", 3, classes=CLASSES, output=POINT)
    generators.write(directory, "flowers", 4, classes=("aster", "iris"), output=ImageOutput(height=16, width=12, channels=3))
    shutil.copy(find_generator("digits", SHIPPED), directory)  # a classifier of its data is shipped
    generators.write(directory, "large", 6, output=ImageOutput(height=128, width=128, channels=3))
    return directory


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def making(all_models: Path, jobs: Path) -> Iterator[Server]:
    with serving(all_models, jobs_url=jobs, log_format="json", max_job_images=10**9, max_jobs=2) as running:
        yield running


def submit(server: Server, status: int = 201, **request: Any) -> str:
    """Submit a job. Returns its id."""
    answer = httpx.post(f"{server.url}/v1/jobs", json=request, verify=False)
    assert answer.status_code == status, answer.text
    page = answer.json()
    assert answer.headers["location"] == page["url"] == f"/v1/jobs/{page['id']}"
    return str(page["id"])


def page(server: Server, job: str) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/v1/jobs/{job}", verify=False)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def wait_for(server: Server, job: str, state: str) -> dict[str, Any]:
    found: dict[str, Any] = wait_until(lambda: (now := page(server, job))["state"] == state and now)
    return found


def processes(server: Server, job: str) -> list[psutil.Process]:
    """Return the processes of a job, without its workers. The process of another job that is done may still be ending."""
    found = []
    for child in psutil.Process(server.process.pid).children(recursive=True):
        try:
            command = child.cmdline()
            if "seedmint.service.jobs.process" in command and any(job in part for part in command) and not has_ended(child):
                found.append(child)
        except psutil.NoSuchProcess:
            pass
    return found


def kill_server_during_job(server: Server, job: str, shards: int) -> NoReturn:
    """Kill a server and its workers when a job has some shards. Waits for the process of the job to end by itself."""
    wait_until(lambda: page(server, job)["shards_done"] >= shards)
    (process,) = processes(server, job)
    for running_process in (psutil.Process(server.process.pid), *server.workers()):
        running_process.kill()
    wait_until(lambda: has_ended(process))
    raise KilledError


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The hashes of the slow job, made in this process."""
    directory = tmp_path_factory.mktemp("clean")
    generator = open_generator(slow_models(directory) / "slow.onnx")
    plan = plan_for(generator, SLOW["seeds"], shard_size=SLOW["shard_size"], labels="per-seed")
    make_all(open_output(str(directory / "out")), plan, generator)
    return hashes(directory / "out")


def test_a_job_from_submission_to_download(making: Server, jobs: Path, all_models: Path, tmp_path: Path):
    job = submit(making, model="rgb", seeds="0-299", shard_size=100, labels="balanced")
    done = wait_for(making, job, "done")
    assert (done["images"], done["images_done"], done["shards"], done["shards_done"]) == (300, 300, 3, 3)
    assert (done["model"], done["seeds"], done["labels"], done["format"]) == ("rgb", "0-299", "balanced", "webdataset")
    assert done["error"] is None
    assert done["manifest_url"] == f"/v1/jobs/{job}/files/manifest.json"
    client = making.client
    manifest = client.get(done["manifest_url"]).json()
    assert manifest["totals"] == {"shards": 3, "images": 300, "bytes": done["bytes"]}
    for shard in manifest["shards"]:
        answer = client.get(done["files_url"].replace("{+file}", shard["file"]))
        assert sha256(answer.content).hexdigest() == shard["sha256"]
        assert answer.headers["content-type"] == "application/x-tar"
        assert answer.headers["etag"] == f'"{shard["sha256"]}"'
        assert int(answer.headers["content-length"]) == shard["bytes"]
        again = client.get(str(answer.url), headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = client.head(str(answer.url))
        assert (head.content, head.headers["content-length"]) == (b"", str(shard["bytes"]))
    card = client.get(f"/v1/jobs/{job}/files/README.md")
    assert (card.status_code, card.content) == (200, (jobs / job / "README.md").read_bytes())
    command = ("rgb", "--models", str(all_models), "--seeds", "0-299", "--shard-size", "100", "--labels", "balanced")
    run("batch", "run", *command, "--out", str(tmp_path / "out"))
    assert hashes(jobs / job) == hashes(tmp_path / "out")
    assert job_status(jobs / job)["state"] == "done"
    assert submit(making, 200, model="rgb", seeds=list(range(300)), shard_size=100, labels="balanced") == job
    pinned = f"rgb@{making.digest('rgb')[:12]}"
    assert submit(making, 200, model=pinned, seeds="0-99,100-299", shard_size=100, labels="balanced") == job
    listed = client.get("/v1/jobs").json()
    assert set(done) - set(listed["jobs"][0]) >= {"bytes", "shards_done"}
    assert [entry for entry in listed["jobs"] if entry["id"] == job] == [{key: done[key] for key in listed["jobs"][0]}]


@pytest.mark.parametrize(
    ("request_", "form", "file", "media_type"),
    [
        ({"model": "rgb", "format": "png"}, "png", "data/0/1.png", "image/png"),
        ({"model": "point"}, "parquet", "data/shard-000000.parquet", "application/vnd.apache.parquet"),
    ],
)
def test_other_formats(making: Server, jobs: Path, request_: dict[str, Any], form: str, file: str, media_type: str):
    job = submit(making, seeds="0-9", shard_size=5, **request_)
    assert wait_for(making, job, "done")["format"] == form
    (found,) = jobs.glob(f"{job}/data/**/1.png") if form == "png" else [jobs / job / file]
    answer = making.client.get(f"/v1/jobs/{job}/files/{found.relative_to(jobs / job)}")
    assert answer.content == found.read_bytes()
    assert answer.headers["content-type"] == media_type


def test_files_are_listed_page_by_page_and_removed(making: Server, jobs: Path):
    request = {
        "model": "rgb",
        "format": "png",
        "splits": {"train": "0-5", "test": "6-9"},
        "labels": CLASSES[1],
        "shard_size": 4,
    }
    job = submit(making, **request)
    done = wait_until(lambda: (now := making.client.get(f"/v1/jobs/{job}?wait=30").json())["state"] == "done" and now)
    assert (done["labels"], done["splits"]) == (1, {"train": 6, "test": 4})
    found: dict[str, int] = {}
    url = f"{done['index_url']}?limit=3"
    while url:
        listed = making.client.get(url).json()
        assert 0 < len(listed["files"]) <= 3
        for file in listed["files"]:
            found[file["name"]] = file["bytes"]
            assert len(making.client.get(file["url"]).content) == file["bytes"]
        url = listed["next_url"]
    paths = [path for path in (jobs / job).rglob("*") if path.is_file() and path.name != ".lock"]
    data = {str(path.relative_to(jobs / job)): path.stat().st_size for path in paths if path.parent.name != "records"}
    assert found == data
    assert making.client.delete(f"/v1/jobs/{job}").status_code == 204
    assert not (jobs / job).exists()
    check(making.client.get(f"/v1/jobs/{job}"), 404, "job")
    check(making.client.delete(f"/v1/jobs/{job}"), 404, "job")
    assert submit(making, **request) == job  # a new job
    wait_for(making, job, "done")


def test_a_filtered_job_has_the_bytes_of_the_command(making: Server, jobs: Path, all_models: Path, tmp_path: Path):
    job = submit(making, model="digits", seeds="0-79", shard_size=40, filter=" margin>0.95")
    done = wait_for(making, job, "done")
    assert (done["filter"], done["images"]) == ("margin > 0.95", 80)
    totals = making.client.get(done["manifest_url"]).json()["totals"]
    assert 0 < totals["images"] < totals["seeds"] == 80
    options = ("--models", str(all_models), "--seeds", "0-79", "--shard-size", "40", "--filter", "margin > 0.95")
    run("batch", "run", "digits", *options, "--out", str(tmp_path / "out"))
    assert hashes(jobs / job) == hashes(tmp_path / "out")


def test_a_job_of_several_generators_has_the_bytes_of_the_command(making: Server, jobs: Path, all_models: Path, tmp_path: Path):
    names = ["rgb", f"flowers@{making.digest('flowers')[:12]}"]
    job = submit(making, models=names, splits={"train": "0-39", "test": "40-49"}, shard_size=16, format="png")
    done = wait_for(making, job, "done")
    assert (done["model"], done["images"], done["splits"]) == ("rgb", 100, {"train": 80, "test": 20})
    assert done["generators"] == [{"model": name, "digest": making.digest(name)} for name in ("rgb", "flowers")]
    files = making.client.get(done["index_url"]).json()["files"]
    images = [file for file in files if file["name"].endswith(".png")]
    assert len(images) == 100
    assert len(making.client.get(images[-1]["url"]).content) == images[-1]["bytes"]
    options = ("--models", str(all_models), "--split", "train=0-39", "--split", "test=40-49", "--shard-size", "16")
    run("batch", "run", *names, *options, "--format", "png", "--out", str(tmp_path / "out"))
    assert hashes(jobs / job) == hashes(tmp_path / "out")
    wait_until(lambda: value(making, "seedmint_job_images_total", model="flowers") == 50)


@pytest.mark.parametrize(("query", "status"), [("wait=61", 422), ("wait=x", 400), ("after=1", 400)])
def test_an_invalid_query_of_a_job_is_a_problem(making: Server, small: str, query: str, status: int):
    check(making.client.get(f"/v1/jobs/{small}?{query}"), status, query.partition("=")[0])


@pytest.mark.parametrize(("query", "field"), [("limit=0", "limit"), ("limit=1001", "limit")])
def test_an_invalid_query_of_the_files_is_a_problem(making: Server, small: str, query: str, field: str):
    check(making.client.get(f"/v1/jobs/{small}/files?{query}"), 422, field)


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"model": 3}, 400, "model"),
        ({"model": "nope"}, 404, "model"),
        ({"model": f"rgb@{'0' * 12}"}, 404, "digest"),
        ({"models": ["rgb"]}, 400, "models"),
        ({"model": None}, 400, "model"),
        ({"model": None, "models": ["rgb", "nope"]}, 404, "model"),
        ({"model": None, "models": ["rgb", "grey"]}, 422, "models"),
        ({"model": None, "models": ["rgb", "rgb"]}, 422, "models"),
        ({"model": None, "models": ["rgb", "flowers"], "labels": "ant"}, 400, "labels"),
        ({"model": None, "models": ["rgb", "flowers"], "labels": 2}, 422, "labels"),
        ({"model": None, "models": ["rgb", "flowers"], "seeds": "0-599999999"}, 413, "models"),
        ({"seeds": "9-1"}, 400, "seeds"),
        ({"seeds": []}, 400, "seeds"),
        ({"seeds": [1.5]}, 400, "seeds"),
        ({"seeds": f"{1 << 63}"}, 422, "seeds"),
        ({"seeds": "0-9,5"}, 422, "seeds"),
        ({"seeds": "0-1000000000"}, 413, "seeds"),
        ({"labels": 3}, 422, "labels"),
        ({"labels": -1}, 422, "labels"),
        ({"labels": "no such class"}, 400, "labels"),
        ({"labels": "0:1,0:2"}, 400, "labels"),
        ({"filter": "nice"}, 422, "filter"),
        ({"filter": "margin > 0.9"}, 422, "filter"),
        ({"splits": {"train": "0-9"}}, 400, "splits"),
        ({"seeds": None}, 400, "seeds"),
        ({"seeds": None, "splits": {"Train": "0-9"}}, 400, "splits"),
        ({"seeds": None, "splits": {"a": "0-9", "b": "5"}}, 422, "splits"),
        ({"seeds": None, "splits": {"a": "9-0"}}, 400, "splits"),
        ({"labels": [0, 1]}, 400, "labels"),
        ({"model": "grey", "labels": 0}, 422, "labels"),
        ({"model": "grey", "labels": "balanced"}, 422, "labels"),
        ({"truncation": 0}, 422, "truncation"),
        ({"truncation": "half"}, 400, "truncation"),
        ({"format": "zip"}, 400, "format"),
        ({"model": "point", "format": "png"}, 422, "format"),
        ({"shard_size": 0}, 400, "shard_size"),
        ({"shard_size": True}, 400, "shard_size"),
        ({"seeds": "0-10000", "shard_size": 1}, 422, "shard_size"),
        ({"out": "/tmp"}, 400, "out"),
        ({"model": "large", "seeds": "0-999999999", "shard_size": 10**6, "format": "npy"}, 507, "seeds"),
    ],
)
def test_an_invalid_request_is_a_problem_with_its_field(
    making: Server, jobs: Path, changes: dict[str, Any], status: int, field: str
):
    before = set(jobs.iterdir())
    problem = check(making.client.post("/v1/jobs", json={"model": "rgb", "seeds": "0-9"} | changes), status, field)
    assert "--" not in str(problem["detail"])
    assert str(jobs) not in str(problem["detail"])
    assert set(jobs.iterdir()) == before


def test_an_unreadable_body_is_a_problem(making: Server):
    check(making.client.post("/v1/jobs", content=b"{"), 400, "body")
    check(making.client.post("/v1/jobs", content=b"x", headers={"Content-Type": "text/plain"}), 415, "Content-Type")
    assert set(making.client.delete("/v1/jobs").headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("job", ["0" * 16, "nope", "..", "%2e%2e", ".service", "0" * 15, "A" * 16, "0" * 5000])
@pytest.mark.parametrize("tail", ["", "/files/plan.json"])
def test_an_unknown_job_is_not_found(making: Server, job: str, tail: str):
    answer = httpx.Client(base_url=making.url).get(f"/v1/jobs/{job}{tail}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.fixture(scope="module")
def small(making: Server) -> str:
    """A finished job."""
    job = submit(making, model="grey", seeds="0-9")
    wait_for(making, job, "done")
    return job


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "data/../plan.json",
        "data/../../%2e%2e/plan.json",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "data//shard-000000.tar",
        "data/shard-000000.tar%00",
        "data/shard-000001.tar",
        "data/shard-%D9%A0%D9%A0%D9%A0%D9%A0%D9%A0%D9%A0.tar",
        "data/shard-000000.npz",
        "data/0.png",
        "data",
        "records/000000.json",
        f"../job-records/{'0' * 16}.json",
        ".lock",
        "",
    ],
)
def test_other_files_are_not_found(making: Server, small: str, name: str):
    """curl sends the path unchanged; other clients would resolve the dots."""
    host = making.url.removeprefix("http://")
    done = subprocess.run(
        ["curl", "-s", "--path-as-is", "-w", "%{http_code}", f"http://{host}/v1/jobs/{small}/files/{name}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("404"), done.stdout
    assert "root:" not in done.stdout


def test_a_cancelled_job_can_be_resumed(making: Server, jobs: Path, clean: dict[str, str]):
    job = submit(making, **SLOW)
    running = wait_until(lambda: (now := page(making, job))["shards_done"] >= 2 and now)
    assert running["state"] == "running"
    assert 0 < running["images_done"] < running["images"]
    assert running["images_per_second"] is None or running["seconds_left"] > 0
    assert running["manifest_url"] is None
    assert making.client.get(f"/v1/jobs/{job}/files/data/shard-000000.tar").status_code == 200
    check(making.client.get(f"/v1/jobs/{job}/files/data/shard-000015.tar"), 404, "name")
    (process,) = processes(making, job)
    assert process.nice() == 19
    answer = making.client.post(f"/v1/jobs/{job}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    wait_until(lambda: not processes(making, job))
    assert making.client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    stopped = page(making, job)["shards_done"]
    assert 2 <= stopped < SHARDS
    assert submit(making, 200, **SLOW) == job
    done = wait_for(making, job, "done")
    assert done["images_done"] == done["images"]
    assert making.client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "done"
    assert hashes(jobs / job) == clean
    wait_until(lambda: value(making, "seedmint_job_images_total", model="slow") == done["images"])
    wait_until(lambda: value(making, "seedmint_jobs", state="done") == making.client.get("/v1/jobs").json()["total"])
    assert value(making, "seedmint_jobs", state="running") == 0


def test_jobs_are_listed_page_by_page(making: Server, small: str):
    for seed in (20, 21):
        making.client.post(f"/v1/jobs/{submit(making, model='grey', seeds=str(seed))}/cancel")
    every = making.client.get("/v1/jobs").json()
    assert every["next_url"] is None
    assert [entry["submitted"] for entry in every["jobs"]] == sorted(
        (entry["submitted"] for entry in every["jobs"]), reverse=True
    )
    assert every["total"] == len(every["jobs"])
    found, url = [], "/v1/jobs?limit=2"
    while url:
        part = making.client.get(url).json()
        assert 1 <= len(part["jobs"]) <= 2
        assert part["total"] == every["total"]
        found += part["jobs"]
        url = part["next_url"]
    assert found == every["jobs"]
    assert small in [entry["id"] for entry in found]


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("limit=0", 422, "limit"),
        ("limit=101", 422, "limit"),
        ("limit=x", 400, "limit"),
        ("limit=1&limit=1", 400, "limit"),
        ("before=x", 400, "before"),
        ("state=done", 400, "state"),
    ],
)
def test_an_invalid_query_of_the_list_is_a_problem_with_its_field(making: Server, query: str, status: int, field: str):
    check(making.client.get(f"/v1/jobs?{query}"), status, field)


def test_lost_files_are_replaced(making: Server, jobs: Path):
    request = {"model": "rgb", "seeds": "500-599", "shard_size": 50}
    job = submit(making, **request)
    wait_for(making, job, "done")
    before = hashes(jobs / job)
    (jobs / job / "data/shard-000001.tar").unlink()
    check(making.client.get(f"/v1/jobs/{job}/files/data/shard-000001.tar"), 404, "name")
    assert submit(making, 200, **request) == job
    wait_for(making, job, "done")
    assert hashes(jobs / job) == before


def test_a_running_job_can_be_removed_and_a_request_waits_for_its_progress(making: Server, jobs: Path):
    job = submit(making, **SLOW, truncation=0.5)
    before = wait_for(making, job, "running")["shards_done"]
    waited = wait_until(lambda: making.client.get(f"/v1/jobs/{job}?wait=30", timeout=60).json())
    assert waited["shards_done"] > before
    assert making.client.delete(f"/v1/jobs/{job}", timeout=60).status_code == 204
    assert not (jobs / job).exists()
    assert not processes(making, job)


def test_the_log_names_jobs_without_paths(making: Server, jobs: Path, all_models: Path, small: str):
    making.wait_for_log(small, '"done"')
    events = [event for event in map(json.loads, making.log[1:]) if event.get("job") == small]
    assert [event["event"] for event in events] == ["submitted", "started", "done"]
    assert (events[0]["images"], events[0]["generator"]) == (10, f"grey@{making.digest('grey')[:12]}")
    assert not [line for line in making.log[1:] if str(jobs) in line or str(all_models) in line]


@pytest.mark.slow
def test_a_job_survives_a_killed_server(tmp_path: Path, clean: dict[str, str]):
    """The test kills the server and its worker. The process of the job must then end by itself."""
    (tmp_path / "models").mkdir()
    models, folder = slow_models(tmp_path / "models"), tmp_path / "jobs"
    with pytest.raises(KilledError), serving(models, jobs_url=folder) as server:
        kill_server_during_job(server, submit(server, **SLOW), 2)
    (job,) = (path.stem for path in (folder / "job-records").iterdir())
    assert 2 <= len(list((folder / job / "records").iterdir())) < SHARDS
    with serving(models, jobs_url=folder) as server:
        wait_for(server, job, "done")
    assert hashes(folder / job) == clean


@pytest.mark.slow
def test_one_of_two_workers_runs_a_job_and_another_takes_over(tmp_path: Path, clean: dict[str, str]):
    (tmp_path / "models").mkdir()
    (tmp_path / "jobs").mkdir()
    models = slow_models(tmp_path / "models")
    with serving(models, jobs_url=tmp_path / "jobs", workers=2) as server:
        job = submit(server, **SLOW)
        wait_until(lambda: page(server, job)["shards_done"] >= 2)
        for _ in range(4):  # either worker may answer
            assert len(processes(server, job)) == 1
            assert page(server, job)["state"] == "running"
            assert submit(server, 200, **SLOW) == job
        (process,) = processes(server, job)
        process.parent().kill()
        wait_until(lambda: process.pid not in {other.pid for other in processes(server, job)})
        before = page(server, job)["shards_done"]
        wait_until(lambda: page(server, job)["shards_done"] > before)
        (process,) = processes(server, job)
    assert not process.is_running()
    assert len(list((tmp_path / "jobs" / job / "records").iterdir())) < SHARDS
    with serving(models, jobs_url=tmp_path / "jobs", workers=2) as server:
        wait_for(server, job, "done")
        wait_until(lambda: value(server, "seedmint_jobs", state="done") == 1)
    assert hashes(tmp_path / "jobs" / job) == clean


def test_the_queue_is_bounded_and_a_replaced_generator_fails_its_jobs(tmp_path: Path):
    (tmp_path / "models").mkdir()
    (tmp_path / "jobs").mkdir()
    models = fill(slow_models(tmp_path / "models"))
    with serving(models, jobs_url=tmp_path / "jobs", max_queued_jobs=2, max_job_images=5000, images_per_minute=4000) as server:
        first = submit(server, **SLOW | {"seeds": "0-2999"})  # it must run until it is cancelled
        wait_for(server, first, "running")
        second = submit(server, model="rgb", seeds="0-9")
        third = submit(server, model="grey", seeds="0-9")
        refused = server.client.post("/v1/jobs", json={"model": "grey", "seeds": "10-19"})
        check(refused, 429)
        assert int(refused.headers["retry-after"]) > 0
        assert value(server, "seedmint_http_requests_rejected_total", reason="job_queue") == 1
        check(server.client.post("/v1/jobs", json={"model": "grey", "seeds": "0-5000"}), 413, "seeds")
        assert submit(server, 200, model="rgb", seeds="0-9") == second
        assert {page(server, job)["state"] for job in (second, third)} == {"queued"}
        assert [len(processes(server, job)) for job in (first, second, third)] == [1, 0, 0]
        assert server.client.post(f"/v1/jobs/{third}/cancel").json()["state"] == "cancelled"
        again = {"model": "grey", "seeds": "100-4099"}  # 3,020 images were charged; the repeated request was not
        assert check(server.client.post("/v1/jobs", json=again), 429)["reason"] == "image_limit"
        check(server.client.post("/v1/jobs", json={"model": "grey", "seeds": "0-4000"}), 413, "seeds")
        old = server.digest("rgb")
        generators.write(models, "rgb", 9, classes=CLASSES, output=ImageOutput(height=16, width=12, channels=3))
        server.wait_for_log("rgb@" + wait_until(lambda: (new := server.digest("rgb")) != old and new)[:12])
        server.client.post(f"/v1/jobs/{first}/cancel")
        failed = wait_for(server, second, "failed")
        assert f"rgb@{old[:12]}" in failed["error"].split()
        assert not (tmp_path / "jobs" / second / "data").exists()
        assert page(server, third)["state"] == "cancelled"
        assert not [line for line in server.log[1:] if str(tmp_path) in line]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/0000000000000000", "/v1/jobs/0/files/data/x"])
def test_the_jobs_api_is_disabled_by_default(server: Server, path: str):
    for method in ("GET", "POST"):
        assert "SEEDMINT_JOBS_URL" in str(check(server.client.request(method, path), 404)["detail"])
    assert "/v1/jobs" not in server.client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize("url", ["nope://x", "{file}/jobs"])
def test_an_invalid_jobs_url_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as end:
        main(["serve", "--jobs-url", url.format(file=tmp_path / "file"), "--port", "3999"])
    assert end.value.code == 1
    stderr = capsys.readouterr().err
    assert re.match("Error: .*(--jobs-url|SEEDMINT_JOBS_URL)", stderr)
    assert stderr.count("\n") == 1
