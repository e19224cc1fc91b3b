"""Small corpora with ratings, and a checkpoint for which torch must predict."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import soundfile
from conftest import RATE, voice_like

from wav2small.bundled import BUNDLED
from wav2small_training.evaluation.ratings import Ratings
from wav2small_training.recipe import Corpus

COLUMNS = {"arousal": "EmoAct", "dominance": "EmoDom", "valence": "EmoVal"}
RATINGS = Ratings(COLUMNS, (1, 7))


def rated(i: int) -> dict[str, str]:
    """Facts of clip `i`: louder clips have more arousal; two speakers of each sex; two splits."""
    random = np.random.default_rng(i)
    return {
        "file_name": f"{i:02}.flac",
        "split": "train" if i % 3 == 0 else "test",
        "speaker": f"s{i % 4}",
        "sex": "fm"[i % 2],
        "emotion": ["anger", "sadness", "happiness", "neutral"][i // 2 % 4],
        "rater_agreement": "0.75",
        "EmoAct": f"{1 + 6 * (i % 10) / 10:.3f}",
        "EmoDom": f"{random.uniform(1, 7):.3f}",
        "EmoVal": f"{random.uniform(1, 7):.3f}",
    }


def corpus(folder, rows, **where) -> Corpus:
    """Voice-like clips with their metadata.csv."""
    folder.mkdir(parents=True)
    for i, row in enumerate(rows):
        gain = 10 ** (i % 10 / 10)
        soundfile.write(folder / row["file_name"], 0.1 * gain * voice_like(0.5 + 0.02 * i, seed=i), RATE)
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return Corpus(source=str(folder), licence="CC0-1.0", where=where)


def rated_corpus(folder: Path) -> Corpus:
    """16 clips to test on, and 8 of a training split."""
    return corpus(folder, [rated(i) for i in range(24)], split="test")


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_onnx(folder: Path) -> Path:
    """The bundled checkpoint without its ONNX files: torch must predict."""
    return shutil.copytree(BUNDLED, folder, ignore=shutil.ignore_patterns("onnx"))
