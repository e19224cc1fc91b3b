"""Whether a speaker's own normal helps: how well predictions tell acted emotions apart, raw and against a baseline.

`python -m wav2small_training.benchmarks.speaker_baseline FOLDER ... [--model MODEL]`; a folder's metadata.csv has the
columns `speaker`, `emotion` and `duration_s`, with "neutral" among the emotions.
"""

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import wav2small
from wav2small.cli.command import run_command
from wav2small.inference.baseline import FEWEST, Baseline
from wav2small.inference.prediction import Prediction
from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallError

from ..data.corpora import cell, folder_rows
from ..metrics import auc
from ..recipe import Corpus
from ..tables import UNKNOWN, grid

NEUTRAL = "neutral"
GROUPS = {  # dimension: emotions that have more of it, and less
    "arousal": (("anger", "fear", "happiness", "surprise"), ("boredom", "sadness")),
    "valence": (("happiness",), ("anger", "disgust", "fear", "sadness")),
}


def predict(predictor: wav2small.Predictor, folder: Path) -> list[tuple[str, str, Prediction]]:
    """Speaker, emotion and prediction of each clip; all of acted speech is speech."""
    corpus, found = Corpus(source=str(folder), licence="unknown"), []
    for row in folder_rows(folder, corpus):
        speaker, emotion, end = (cell(row, column, corpus.source) for column in ("speaker", "emotion", "duration_s"))
        arousal, dominance, valence = predictor.logits(folder / row["file_name"]).tolist()
        found.append((speaker, emotion, Prediction(arousal, dominance, valence, 0, float(end))))
    return found


def baselines(clips: list[tuple[str, str, Prediction]], folder: Path) -> dict[str, Baseline]:
    """The normal of each speaker: neutral clips.

    Raises:
        Wav2SmallError: for a speaker with fewer than 3 of them.
    """
    neutral: dict[str, list[Prediction]] = defaultdict(list)
    for speaker, emotion, one in clips:
        neutral[speaker] += [one] if emotion == NEUTRAL else []
    for speaker, each in neutral.items():
        if len(each) < FEWEST:
            raise Wav2SmallError(f"{folder}: {speaker} has {len(each)} clips of {NEUTRAL!r}, not {FEWEST} or more")
    return {speaker: Baseline.of(each) for speaker, each in neutral.items()}


def measure(model: str | None, folders: list[Path]) -> str:
    """A table in Markdown: for each folder and dimension the AUC of raw predictions, of differences and of spreads."""
    predictor, rows = wav2small.load(model), []
    for folder in folders:
        clips = predict(predictor, folder)
        normal = baselines(clips, folder)
        for dimension, groups in GROUPS.items():
            axis = LABELS.index(dimension)
            scores = []
            for kind in ("raw", "difference", "in spreads"):
                high, low = (
                    np.array(
                        [
                            one.as_array()[axis] if kind == "raw" else
                            normal[speaker].difference(one)[axis] if kind == "difference" else
                            normal[speaker](one)[axis]
                            for speaker, emotion, one in clips if emotion in group
                        ]
                    )
                    for group in groups
                )  # fmt: skip
                scores.append(f"{auc(high, low):.3f}" if len(high) and len(low) else UNKNOWN)
            rows.append([folder.name, dimension, *scores])
    return grid(["AUC", "dimension", "raw", "minus the speaker's median", "in the speaker's spreads"], rows)


def main(
    folders: Annotated[list[Path], typer.Argument(exists=True, help="Corpora.")],
    model: Annotated[str | None, typer.Option(help="Default: the default checkpoint.")] = None,
) -> None:
    """Print the table, in Markdown."""
    typer.echo(measure(model, folders))


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
