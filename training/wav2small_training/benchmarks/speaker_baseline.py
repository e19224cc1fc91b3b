"""Whether a speaker's own normal helps: how well predictions tell acted emotions apart, raw and against a baseline.

`python -m wav2small_training.benchmarks.speaker_baseline FOLDER ... [--model MODEL]`; a folder's metadata.csv has the
columns `speaker`, `emotion` and `duration_s`, with "neutral" among the emotions.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

import wav2small
from wav2small.inference.baseline import Baseline
from wav2small.inference.prediction import Prediction
from wav2small.models.adv import LABELS

from ..tables import grid

NEUTRAL = "neutral"
GROUPS = {  # dimension: emotions that have more of it, and less; as in the evaluation
    "arousal": (("anger", "fear", "happiness", "surprise"), ("boredom", "sadness")),
    "valence": (("happiness",), ("anger", "disgust", "fear", "sadness")),
}


def predict(predictor: wav2small.Predictor, folder: Path) -> list[tuple[str, str, Prediction]]:
    """Speaker, emotion and prediction of each clip."""
    with (folder / "metadata.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    logits = [predictor.logits(folder / row["file_name"]).tolist() for row in rows]  # of acted speech: all is speech
    return [
        (row["speaker"], row["emotion"], Prediction(values[0], values[1], values[2], 0, float(row["duration_s"])))
        for row, values in zip(rows, logits, strict=True)
    ]


def auc(high: np.ndarray, low: np.ndarray) -> float:
    """Probability that one of `high` is above one of `low`; ties count half."""
    difference = high[:, None] - low[None]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def measure(model: str | None, folders: list[Path]) -> str:
    """A table in Markdown: for each folder and dimension the AUC of raw predictions, of differences and of spreads."""
    predictor, rows = wav2small.load(model), []
    for folder in folders:
        clips = predict(predictor, folder)
        neutral = defaultdict(list)
        for speaker, emotion, one in clips:
            if emotion == NEUTRAL:
                neutral[speaker].append(one)
        baselines = {speaker: Baseline.of(each) for speaker, each in neutral.items()}
        for dimension, groups in GROUPS.items():
            axis = LABELS.index(dimension)
            scores = []
            for kind in ("raw", "difference", "in spreads"):
                values = [
                    np.array(
                        [
                            one.as_array()[axis] if kind == "raw" else
                            baselines[speaker].difference(one)[axis] if kind == "difference" else
                            baselines[speaker](one)[axis]
                            for speaker, emotion, one in clips if emotion in group
                        ]
                    )
                    for group in groups
                ]  # fmt: skip
                scores.append(f"{auc(*values):.3f}")
            rows.append([folder.name, dimension, *scores])
    return grid(["AUC", "dimension", "raw", "minus the speaker's median", "in the speaker's spreads"], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--model")
    arguments = parser.parse_args()
    print(measure(arguments.model, arguments.folders))  # noqa: T201
