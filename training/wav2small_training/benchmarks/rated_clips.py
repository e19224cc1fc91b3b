"""What a handful of rated clips of a speaker does to the error on the other clips of that speaker.

`python -m wav2small_training.benchmarks.rated_clips FOLDER ... [--model MODEL]`; a folder's metadata.csv has the
columns `speaker` and `emotion`, whose norms stand for ratings, and perhaps `split`: clips of "train" are left out.
"""

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import wav2small
from wav2small.cli.command import run_command
from wav2small.inference.rated_clips import shift
from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError

from ..data.corpora import cell, open_rows, waveform
from ..evaluation.ratings import Norms
from ..evenly import evenly
from ..recipe import Corpus
from ..tables import grid

RATED = (3, 5, 10)  # clips
DRAWS = 100  # of rated clips
CLIPS = 40  # of a speaker at most, evenly chosen


def predict(predictor: wav2small.Predictor, folder: Path) -> dict[str, list[np.ndarray]]:
    """Predictions and norms (2, 3) of the clips of each speaker who has enough of them.

    Raises:
        Wav2SmallError: if no speaker has.
    """
    corpus = Corpus(source=str(folder), licence="unknown")
    norms = Norms("emotion").of(corpus)
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in open_rows(corpus):
        if row.get("split") != "train":
            rows[cell(row, "speaker", corpus.source)].append(row)
    clips: dict[str, list[np.ndarray]] = defaultdict(list)
    for speaker, each in rows.items():
        for row in evenly(each, CLIPS):
            samples = waveform(row, corpus)
            pair = np.array([predictor.logits((samples, SAMPLING_RATE)), norms(row, samples)])
            if not np.isnan(pair).any():
                clips[speaker].append(pair)
    enough = {speaker: each for speaker, each in clips.items() if len(each) > max(RATED)}
    if not enough:
        raise Wav2SmallError(f"{folder}: no speaker has more than {max(RATED)} clips with the norm of an emotion")
    return enough


def measure(model: str | None, folders: list[Path]) -> str:
    """A table in Markdown: root mean square error of each dimension, by the number of rated clips."""
    predictor, rows, random = wav2small.load(model), [], np.random.default_rng(0)
    for folder in folders:
        squares: dict[int, list[np.ndarray]] = defaultdict(list)
        for clips in predict(predictor, folder).values():
            pairs = np.array(clips)  # (clips, 2, 3)
            for _ in range(DRAWS):
                mixed = random.permutation(pairs)
                for rated in (0, *RATED):
                    predicted, ratings = mixed[max(RATED) :].transpose(1, 0, 2)  # the same clips for each number
                    added = shift(mixed[:rated, 0], mixed[:rated, 1]) if rated else 0.0
                    squares[rated].append(np.mean((ratings - predicted - added) ** 2, axis=0))
        for rated, each in squares.items():
            errors = np.sqrt(np.mean(each, axis=0))
            rows.append([folder.resolve().name, str(rated), *(f"{error:.3f}" for error in errors)])
    return grid(["RMSE", "rated clips", *LABELS], rows, True)


def main(
    folders: Annotated[list[Path], typer.Argument(exists=True, help="Corpora.")],
    model: Annotated[str | None, typer.Option(help="Default: the default checkpoint.")] = None,
) -> None:
    """Print the table, in Markdown."""
    typer.echo(measure(model, folders))


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
