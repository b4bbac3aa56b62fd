"""Commands and the server choose the same file among the files and pins of several places."""

import hashlib
import itertools
import os
import random
from pathlib import Path

from seedmint.service.batching.place_scanner import PlaceScanner
from seedmint.service.places.lookup import find_file
from seedmint.service.places.merging import merge, merge_pins
from seedmint.service.places.opening import open_places
from seedmint.service.places.present_versions import ServedFile, present_versions
from seedmint.service.settings import Settings, read_settings

CONTENTS = (b"first", b"second")
DIGESTS = [hashlib.sha256(content).hexdigest() for content in CONTENTS]
FILES = ("one", *(f"one@{digest[:12]}" for digest in DIGESTS))


def test_the_earlier_place_counts():
    assert merge({2: {"a": "late", "b": "b"}, 0: {"a": "early"}}) == {"a": (0, "early"), "b": (2, "b")}
    assert merge_pins({1: {"a": "1"}, 3: {"a": "3", "c": "3"}}) == {"a": "1", "c": "3"}
    assert merge({}) == {}


def served(settings: Settings) -> bytes:
    """Return the content of the file that a server with these places serves as `one`."""
    scan = PlaceScanner(open_places(settings), 3600).scan()
    contents, files = {}, {}
    for change in scan.changes:
        assert change.descriptor is not None
        with os.fdopen(change.descriptor, "rb") as opened:
            contents[change.stem] = opened.read()
        files[change.stem] = ServedFile(hashlib.sha256(contents[change.stem]).hexdigest(), change.modified)
    return contents[present_versions(files, scan.pins, {})[0].get("one", "one")]


def test_commands_and_the_server_choose_the_same_file(tmp_path: Path):
    """Some of all layouts of three files and the file `aliases` in two folders."""
    layouts = list(itertools.product(itertools.product((False, True), repeat=3), (None, *DIGESTS)))
    pairs = [pair for pair in itertools.product(layouts, repeat=2) if any(pair[0][0]) or any(pair[1][0])]
    for number, pair in enumerate(random.Random(5).sample(pairs, 120)):
        folders = [tmp_path / f"{number}-{position}" for position in range(2)]
        for folder, (present, pin) in zip(folders, pair, strict=True):
            folder.mkdir()
            for order, name in enumerate(itertools.compress(FILES, present)):
                # NAME.onnx of the two places differ; NAME@DIGEST12.onnx has the content that its name says
                content = CONTENTS[FILES.index(name) - 1] if "@" in name else folder.name.encode()
                (folder / f"{name}.onnx").write_bytes(content)
                os.utime(folder / f"{name}.onnx", (0, 100 * order + number % 7 * len(content)))
            if pin is not None:
                (folder / "aliases").write_text(f"one = one@{pin[:20]}\n")
        settings = read_settings({"SEEDMINT_MODELS": ",".join(map(str, folders))})
        assert find_file("one", settings).read_bytes() == served(settings), pair
