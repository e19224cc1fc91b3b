"""The page without a server: one file with the network in it, which also works when it is opened from a disk."""

import base64
import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from wav2small.bundled import BUNDLED
from wav2small.inference.intervals import COVERAGE, RANGES, SECONDS, Intervals, tails
from wav2small.inference.words import REGIONS, AffectWords
from wav2small.shipped import shipped_folder

WEB = "web"
PAGE = "index.html"
COPIED = ("README.md", "sw.js", "examples")


def write_static_page(out: Path) -> None:
    """Write the page into an empty folder: `index.html`, the service worker, the examples and the README of the Space.

    A browser loads neither modules nor data from beside a page on a disk, so all are in the page itself: the network
    and its JavaScript as text, of which the page makes modules, and the words and intervals of the checkpoint.
    """
    web = shipped_folder(WEB)
    source = web / "page"
    code = (source / "page.js").read_text(encoding="utf-8")
    network = "".join(without_imports(web / name) for name in ("resample.js", "index.js"))
    parts = {
        "STYLE": (source / "page.css").read_text(encoding="utf-8"),
        "CODE": code,
        "NETWORK": network,
        "WORKLET": without_imports(web / "worklet.js"),
        "WASM": base64.b64encode(gzip.compress((web / "wav2small.wasm").read_bytes(), mtime=0)).decode(),
        "WORDS": json.dumps(measured(BUNDLED)),
        "HASH": base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
    }
    page = re.sub(r"@([A-Z]+)@", lambda found: parts[found[1]], (source / PAGE).read_text(encoding="utf-8"))
    (out / PAGE).write_text(page, encoding="utf-8")
    for name in COPIED:
        (shutil.copytree if (source / name).is_dir() else shutil.copy)(source / name, out / name)


def measured(checkpoint: Path) -> dict[str, Any]:
    """What the page knows of a checkpoint: thresholds of the words, and the intervals, if there are any."""
    words, intervals = AffectWords.read(checkpoint), Intervals.read(checkpoint)
    assert words is not None
    known: dict[str, Any] = {"arousal": words.arousal, "valence": words.valence, "grid": list(REGIONS.values())}
    if intervals:
        low, high = tails(COVERAGE)
        errors = [[[each[low], each[high]] for each in group] for group in intervals.errors]
        known["intervals"] = {"seconds": SECONDS, "ranges": RANGES, "errors": errors}
    return known


def without_imports(path: Path) -> str:
    """A module of ours, without what it imports from the others or exports again."""
    return re.sub(r"^(import .* from|export \{).*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
