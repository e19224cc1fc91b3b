"""How far two predictions of speech differ that ought to be alike, and how wide intervals are.

`python -m wav2small_training.benchmarks.differences --speech FOLDER [--model MODEL]`; the folder holds `emodb` and
`nemo`, whose metadata.csv have the columns `speaker` and `emotion`.
"""

import argparse
import csv
from itertools import combinations
from pathlib import Path

import numpy as np

import wav2small
from wav2small.inference.intervals import GROUPS, tails
from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.models.audio import read_audio

from ..evenly import evenly
from ..tables import grid

CORPORA = {"emodb": "EmoDB", "nemo": "nEMO"}
CLIPS = 300  # of a corpus, evenly chosen
PIECE = 1.0  # s, of the middle of a clip
SHARE = 0.8  # of the differences are below what the table shows
NEUTRAL = "neutral"


def predict(predictor: wav2small.Predictor, folder: Path) -> tuple[list[dict[str, str]], np.ndarray]:
    """Rows of clips, and predictions (clips, 2, 3) of the whole clip and of its middle second."""
    with (folder / "metadata.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows = evenly(rows, CLIPS)
    values = []
    for row in rows:
        clip, size = read_audio(folder / row["file_name"]), round(PIECE * SAMPLING_RATE)
        piece = clip[max(0, len(clip) - size) // 2 :][:size]
        values.append([predictor.logits((part, SAMPLING_RATE)) for part in (clip, piece)])
    return rows, np.array(values)


def below(differences: np.ndarray) -> list[str]:
    """Number of (pairs, 3), and below what 80 % of them are."""
    return [str(len(differences)), *(f"{x:.2f}" for x in np.quantile(np.abs(differences), SHARE, axis=0))]


def measure(model: str | None, speech: Path) -> str:
    """Two tables in Markdown: differences of pairs, and widths of intervals."""
    predictor, table = wav2small.load(model), []
    for folder, corpus in CORPORA.items():
        rows, values = predict(predictor, speech / folder)
        table.append([f"a clip and its middle second, {corpus}", *below(values[:, 1] - values[:, 0])])
        pairs = list(combinations(range(len(rows)), 2))
        same = [(i, j) for i, j in pairs if all(rows[i][key] == rows[j][key] for key in ("speaker", "emotion"))]
        table.append([f"two clips of a speaker and an emotion, {corpus}", *below(_change(values, same))])
        neutral = [(i, j) for i, j in pairs if rows[i]["emotion"] == rows[j]["emotion"] == NEUTRAL]
        others = [(i, j) for i, j in neutral if rows[i]["speaker"] != rows[j]["speaker"]]
        table.append([f"two speakers, both neutral, {corpus}", *below(_change(values, others))])
    tables = [grid(["80 % of the differences are below", "pairs", *LABELS], table, True)]
    if predictor.intervals:
        low, high = tails(SHARE)
        groups = {"below 1 s, in noise": 0, "above 2 s, clean": GROUPS - 1}
        widths = [
            [name, *(f"{each[high] - each[low]:.2f}" for each in predictor.intervals.errors[group])]
            for name, group in groups.items()
        ]
        tables.append(grid(["width of the interval of 80 %", *LABELS], widths, True))
    return "\n\n".join(tables)


def _change(values: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    first, second = np.array(pairs).T
    return np.asarray(values[first, 0] - values[second, 0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--model")
    arguments = parser.parse_args()
    print(measure(arguments.model, arguments.speech))  # noqa: T201
