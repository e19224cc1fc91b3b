"""How far two predictions of speech differ that ought to be alike, and how wide intervals are.

`python -m wav2small_training.benchmarks.differences --speech FOLDER [--model MODEL]`; the folder holds `emodb` and
`nemo`, whose metadata.csv have the columns `speaker` and `emotion`.
"""

from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import wav2small
from wav2small.cli.command import run_command
from wav2small.inference.intervals import GROUPS, tails
from wav2small.models.adv import LABELS, SAMPLING_RATE

from ..data.corpora import cell, folder_rows, waveform
from ..evenly import evenly
from ..recipe import Corpus
from ..tables import UNKNOWN, grid

CORPORA = {"emodb": "EmoDB", "nemo": "nEMO"}
CLIPS = 300  # of a corpus, evenly chosen
PIECE = 1.0  # s, of the middle of a clip
SHARE = 0.8  # of the differences are below what the table shows
NEUTRAL = "neutral"


def predict(predictor: wav2small.Predictor, folder: Path) -> tuple[list[tuple[Any, Any]], np.ndarray]:
    """Speaker and emotion of clips, and predictions (clips, 2, 3) of the whole clip and of its middle second."""
    corpus = Corpus(source=str(folder), licence="unknown")
    who, values = [], []
    for row in evenly(folder_rows(folder, corpus), CLIPS):
        clip, size = waveform(row, corpus), round(PIECE * SAMPLING_RATE)
        piece = clip[max(0, len(clip) - size) // 2 :][:size]
        values.append([predictor.logits((part, SAMPLING_RATE)) for part in (clip, piece)])
        who.append((cell(row, "speaker", corpus.source), cell(row, "emotion", corpus.source)))
    return who, np.array(values)


def below(differences: np.ndarray) -> list[str]:
    """Number of (pairs, 3), and below what 80 % of them are."""
    if not len(differences):
        return ["0", *[UNKNOWN] * len(LABELS)]
    return [str(len(differences)), *(f"{x:.2f}" for x in np.quantile(np.abs(differences), SHARE, axis=0))]


def measure(model: str | None, speech: Path) -> str:
    """Two tables in Markdown: differences of pairs, and widths of intervals."""
    predictor, table = wav2small.load(model), []
    for folder, corpus in CORPORA.items():
        who, values = predict(predictor, speech / folder)
        table.append([f"a clip and its middle second, {corpus}", *below(values[:, 1] - values[:, 0])])
        pairs = list(combinations(range(len(who)), 2))
        same = [(i, j) for i, j in pairs if who[i] == who[j]]
        table.append([f"two clips of a speaker and an emotion, {corpus}", *below(_change(values, same))])
        neutral = [(i, j) for i, j in pairs if who[i][1] == who[j][1] == NEUTRAL]
        others = [(i, j) for i, j in neutral if who[i][0] != who[j][0]]
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
    first, second = np.array(pairs, int).reshape(-1, 2).T
    return np.asarray(values[first, 0] - values[second, 0])


def main(
    speech: Annotated[Path, typer.Option(exists=True, help="Folder of the corpora.")],
    model: Annotated[str | None, typer.Option(help="Default: the default checkpoint.")] = None,
) -> None:
    """Print the tables, in Markdown."""
    typer.echo(measure(model, speech))


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
