"""Addresses, images, samples and shards of the shipped generators keep their recorded bytes.

The hashes in test_recorded_bytes.json were recorded from commit 25db8ae. They leave out only the digest of the generator file
and the checksums over it, because the digest changes with the card of the generator: PNG files carry the digest in a text chunk
(also inside a zip file and inside shards), samples in JSON carry it as a field, and addresses carry its first 12 digits.
Arrays of several seeds, latent vectors and combinations of parameters were recorded from commit 0b53406.
Since the first commit, Parquet shards have a page index and larger row groups, so that queries need not read all pages, and
png and npy have an index of their rows (metadata.parquet).

To record new bytes, after a change that is meant to alter them: python -m tests.http.test_recorded_bytes
"""

import hashlib
import io
import json
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import httpx
import PIL

from seedmint.models.directory import SHIPPED
from tests.support.batch_jobs import batch
from tests.support.servers import serving

RECORD = Path(__file__).with_suffix(".json")
IMAGES = ("digits", "fashion-mnist", "icons", "mnist", "mnist-paper")
SAMPLES = ("gaussian-1d", "ring-2d", "sines", "words")
BATCH = [("digits", form) for form in ("webdataset", "parquet", "png", "npz", "npy")] + [("ring-2d", "parquet")]
# Pillow's encoders may change with its version; our PNG encoder is pinned by its library.
OF_PILLOW = (".webp", ".gif")
DIGEST = re.compile(rb'(tEXtdigest\x00)[0-9a-f]{64}.{4}|("digest": ?")[0-9a-f]{64}', re.DOTALL)


def paths(name: str) -> list[str]:
    base = f"/v1/models/{name}"
    if name in SAMPLES:
        found = [f"{base}/samples/{seed}.{form}" for seed in (0, 42) for form in ("json", "csv", "npy")]
        found += [f"{base}/samples/{seed}.txt" for seed in (0, 42) if name == "words"]
        return [*found, f"{base}/samples/7.json?truncation=0.5", f"{base}/samples.npy?seeds=0-9,100", f"{base}/latents/42.npy"]
    found = [f"{base}/images/{seed}.{form}" for seed in (0, 42, 2**63 - 1) for form in ("png", "webp", "npy")]
    found += [f"{base}/images/7.png?scale=3", f"{base}/images/7.npy?truncation=0.5"]
    found += [f"{base}/grid.png?seeds=0-9&columns=5", f"{base}/grid.webp?seeds=0-3"]
    found += [f"{base}/walk.{form}?from=1&to=2&frames=4" for form in ("png", "webp", "gif")]
    found += [f"{base}/images.npy?seeds=0-9,100", f"{base}/latents/42.npy", f"{base}/images/7.png?scale=2&truncation=0.25"]
    if name != "mnist-paper":
        found += [f"{base}/images/5.{form}?label=3&scale=2&truncation=0.5" for form in ("png", "npy", "webp")]
        found += [f"{base}/images/5.png?label=3", f"{base}/grid.png?seeds=0-3&label=2"]
    return found


def bulk(name: str) -> list[dict[str, Any]]:
    forms = ("npz", "npy", "csv", "jsonl") if name in SAMPLES else ("zip", "npz", "npy")
    forms += ("txt",) if name == "words" else ()
    return [{"model": name, "seeds": "0-40,100", "format": form} for form in forms]


def hash_without_digest(content: bytes) -> str:
    """The SHA-256 of a body or a file without the digest of the generator, and without the checksums over the digest."""
    if content.startswith(b"PK"):  # the names, dates and contents of the files of a zip archive
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = [
                (entry.filename, entry.date_time, hash_without_digest(archive.read(entry))) for entry in archive.infolist()
            ]
        content = repr(files).encode()
    return hashlib.sha256(DIGEST.sub(rb"\1\2", content)).hexdigest()


def answers(client: httpx.Client) -> dict[str, str]:
    """The location of each redirect, and the SHA-256 of each body."""
    found = {}
    for name in (*IMAGES, *SAMPLES):
        for path in paths(name):
            moved = client.get(path, follow_redirects=False)
            assert moved.status_code == 307, (path, moved.text)
            found[f"location {path}"] = re.sub("@[0-9a-f]{12}/", "@DIGEST12/", moved.headers["location"])
            answer = client.get(moved.headers["location"])
            assert answer.status_code == 200, (path, answer.text)
            found[f"GET {path}"] = hash_without_digest(answer.content)
        for body in bulk(name):
            answer = client.post("/v1/sample", json=body)
            assert answer.status_code == 200, (body, answer.text)
            found[f"POST /v1/sample {json.dumps(body)}"] = hash_without_digest(answer.content)
    return found


def shards(directory: Path) -> dict[str, str]:
    """The SHA-256 of each data file of small batch jobs."""
    found = {}
    for name, form in BATCH:
        out = directory / f"{name}-{form}"
        batch("run", name, "--seeds", "0-59", "--shard-size", "25", "--format", form, "--out", out, "--workers", "1")
        for path in sorted((out / "data").rglob("*")):
            if path.is_file():
                found[f"batch {name} {form} {path.relative_to(out)}"] = hash_without_digest(path.read_bytes())
    return found


def test_addresses_and_bytes_are_as_recorded(tmp_path: Path):
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    with serving(SHIPPED) as server:
        found = answers(server.client)
    found |= shards(tmp_path)
    expected = record["sha256"]
    if record["pillow"] != PIL.__version__:
        pillow = {key for key in expected if any(suffix in key for suffix in OF_PILLOW) and not key.startswith("location")}
        expected = {key: value for key, value in expected.items() if key not in pillow}
        found = {key: value for key, value in found.items() if key not in pillow}
    assert found == expected


if __name__ == "__main__":
    with serving(SHIPPED) as running, tempfile.TemporaryDirectory() as place:
        recorded = answers(running.client) | shards(Path(place))
    RECORD.write_text(json.dumps({"pillow": PIL.__version__, "sha256": recorded}, indent=1) + "\n", encoding="utf-8")
