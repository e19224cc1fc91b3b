"""Predictions of a checkpoint -> thresholds of its affect words, its intervals, and how often each word occurs.

The thresholds are the 10 % and the 90 % quantile of the predictions for ordinary speech, such as people reading aloud:
arousal is "high" where nine of ten ordinary voices have less. So ordinary speech is mostly "unsure", whatever emotions
a corpus holds and wherever the predictions of a checkpoint lie.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wav2small.inference.prediction import Prediction, check_range
from wav2small.inference.predictor import Predictor, load
from wav2small.inference.words import REGIONS, AffectWords
from wav2small.models.errors import Wav2SmallError

from ..data.corpora import open_rows, waveform
from ..evenly import evenly
from ..recipe import Corpus
from ..tables import grid
from .intervals import coverage_table, measure_intervals

TAIL = 0.1  # of ordinary speech is below "low", and the same share above "high"
CLIPS = 300  # of a folder, evenly chosen
FEWEST = 20  # clips from which a quantile of 10 % can be estimated
SECONDS = (1, 2, 3, 4, 5)  # lengths of the crops, in turn: predictions for short speech vary more
EMOTION = "emotion"  # column of metadata.csv that the table is broken down by
WORDS = [word for row in REGIONS.values() for word in row]


@dataclass(frozen=True)
class FolderPredictions:
    """Predictions of a checkpoint for the recordings of a folder.

    Attributes:
        folder: of the recordings.
        predictions: of those recordings in which somebody speaks.
        emotions: word of `metadata.csv` for each prediction; all empty if it has no such column.
    """

    folder: Path
    predictions: list[Prediction]
    emotions: list[str]

    def values(self, axis: str) -> np.ndarray:
        """(predictions,) float64: one axis."""
        return np.array([getattr(prediction, axis) for prediction in self.predictions])


def calibrate(checkpoint: Path, ordinary: list[Path], others: list[Path], rated: Path | None = None) -> str:
    """Measure the thresholds of a checkpoint's words and its intervals; write `words.json` and `intervals.json`.

    Args:
        checkpoint: folder with `onnx/model.onnx`.
        ordinary: folders of ordinary speech, each of which counts the same.
        others: folders whose words are counted as well, for example of emotional speech; where they are rated, the
            coverage of the intervals is checked on them.
        rated: folder of rated speech of people that it was not trained on; `None`: intervals stay as they are.

    Returns:
        A table in Markdown: share of each word in each folder and, where metadata.csv has a column `emotion`, for each
        emotion; and a table of what the intervals hold, where they are measured.

    Raises:
        Wav2SmallError: if the checkpoint or a recording cannot be read, or a folder of ordinary speech is too small.
    """
    if not checkpoint.is_dir():
        raise Wav2SmallError(f"{checkpoint} is not a folder: calibrate a local checkpoint, then publish it")
    predictor = load(checkpoint)
    if rated:
        predictor.intervals = measure_intervals(predictor, rated, others)
    references = [predict_folder(predictor, folder) for folder in ordinary]
    for each in references:
        if len(each.predictions) < FEWEST:
            raise Wav2SmallError(
                f"{each.folder} holds {len(each.predictions)} clips with speech: at least {FEWEST} are needed"
            )
        check_range(np.stack([one.as_array() for one in each.predictions]), str(checkpoint))
    tried = [predict_folder(predictor, folder) for folder in others]
    words = measure_thresholds(references)
    words.write(checkpoint)
    tables = [word_table(words, [*references, *tried])]
    if rated and predictor.intervals:
        predictor.intervals.write(checkpoint)
        tables.append(coverage_table(predictor.intervals))
    return "\n\n".join(tables)


def predict_folder(predictor: Predictor, folder: Path) -> FolderPredictions:
    """Predict crops of 1 to 5 s from the middles of at most 300 recordings of a folder, evenly chosen."""
    corpus = Corpus(source=str(folder), licence="unknown")
    rows = list(open_rows(corpus))
    chosen = evenly(rows, CLIPS)
    predictions, emotions = [], []
    for i, row in enumerate(chosen):
        whole = waveform(row, corpus)
        samples = SECONDS[i % len(SECONDS)] * predictor.sampling_rate
        first = max(0, len(whole) - samples) // 2
        prediction = predictor((whole[first : first + samples], predictor.sampling_rate))
        if prediction.spoken:
            predictions.append(prediction)
            emotions.append(row.get(EMOTION) or "")
    return FolderPredictions(folder, predictions, emotions)


def measure_thresholds(references: list[FolderPredictions]) -> AffectWords:
    """Take the thresholds from predictions for ordinary speech."""
    thresholds = {}
    for axis in ("arousal", "valence"):
        # 1,001 quantiles of each folder, so that each counts the same whatever its size
        pooled = [np.quantile(each.values(axis), np.linspace(0, 1, 1001)) for each in references]
        low, high = np.quantile(np.concatenate(pooled), [TAIL, 1 - TAIL]).round(4).tolist()
        thresholds[axis] = (low, high)
    counts = " and ".join(f"{len(each.predictions)} clips of {each.folder.resolve().name}" for each in references)
    how = f"{TAIL:.0%} and {1 - TAIL:.0%} quantiles of the predictions for crops of {SECONDS[0]} to {SECONDS[-1]} s"
    return AffectWords(**thresholds, measured_on=f"{how}: {counts}")


def word_table(words: AffectWords, folders: list[FolderPredictions]) -> str:
    """Share of each word, by folder and by emotion, in percent, as Markdown."""
    rows = []
    for each in folders:
        said = [str(one.worded(words).word) for one in each.predictions]
        rows.append(_row(each.folder.resolve().name, said))
        for emotion in sorted(set(each.emotions) - {""}):
            rows.append(_row(f"- {emotion}", [w for w, e in zip(said, each.emotions, strict=True) if e == emotion]))
    return grid(["%", "clips", *WORDS], rows, True)


def _row(name: str, said: list[str]) -> list[str]:
    counts = Counter(said)
    return [name, str(len(said)), *(f"{100 * counts[word] / max(1, len(said)):.0f}" for word in WORDS)]
