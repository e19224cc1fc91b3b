"""A checkpoint's own answers to ordinary speech -> the thresholds of its words, and a table of what the words then say.

The thresholds are the 10 % and the 90 % quantile of the answers to ordinary speech, such as people reading aloud: an
arousal is "high" if nine of ten ordinary voices have less. So ordinary speech is mostly "unsure", whatever mixture of
emotions a corpus holds and wherever the answers of a checkpoint cluster.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wav2small.inference.prediction import Prediction
from wav2small.inference.predictor import Predictor, load
from wav2small.inference.words import REGIONS, AffectWords
from wav2small.models.errors import Wav2SmallError

from ..data.corpora import open_rows, waveform
from ..recipe import Corpus
from .report import grid

TAIL = 0.1  # of ordinary speech is below "low", and as much above "high"
CLIPS = 300  # of a folder, evenly chosen
FEWEST = 20  # clips that a quantile of 10 % can be told from
SECONDS = (1, 2, 3, 4, 5)  # lengths of the crops, in turn: short commands scatter more than long ones
EMOTION = "emotion"  # column of metadata.csv that the table is broken down by
WORDS = [word for row in REGIONS.values() for word in row]


@dataclass(frozen=True)
class Heard:
    """What a checkpoint answers to the recordings of a folder.

    Attributes:
        folder: of the recordings.
        answers: those that are not silent.
        emotions: word of `metadata.csv` for each answer; all empty if it has no such column.
    """

    folder: Path
    answers: list[Prediction]
    emotions: list[str]

    def values(self, axis: str) -> np.ndarray:
        """(answers,) float64: one axis."""
        return np.array([getattr(answer, axis) for answer in self.answers])


def calibrate(checkpoint: Path, ordinary: list[Path], others: list[Path]) -> str:
    """Measure the thresholds of a checkpoint's words and write its `words.json`.

    Args:
        checkpoint: folder with `onnx/model.onnx`.
        ordinary: folders of ordinary speech, each of which counts the same.
        others: folders to try the words on, for example of emotional speech.

    Returns:
        A table in Markdown: share of each word in each folder and, where metadata.csv has a column `emotion`, for each
        emotion.

    Raises:
        Wav2SmallError: if the checkpoint or a recording cannot be read, or a folder of ordinary speech is too small.
    """
    if not checkpoint.is_dir():
        raise Wav2SmallError(f"{checkpoint} is no folder: calibrate a local checkpoint, then publish it")
    predictor = load(checkpoint)
    references = [listen(predictor, folder) for folder in ordinary]
    for heard in references:
        if len(heard.answers) < FEWEST:
            raise Wav2SmallError(f"{heard.folder} holds {len(heard.answers)} clips with sound: {FEWEST} are the fewest")
    tried = [listen(predictor, folder) for folder in others]
    words = measure(references)
    words.write(checkpoint)
    return table(words, [*references, *tried])


def listen(predictor: Predictor, folder: Path) -> Heard:
    """Answer to at most 300 recordings of a folder, evenly chosen: crops of 1 to 5 s from their middles."""
    corpus = Corpus(source=str(folder), licence="unknown")
    rows = list(open_rows(corpus))
    chosen = [rows[i] for i in np.linspace(0, len(rows) - 1, min(CLIPS, len(rows))).round().astype(int)]
    answers, emotions = [], []
    for i, row in enumerate(chosen):
        whole = waveform(row, corpus)
        samples = SECONDS[i % len(SECONDS)] * predictor.sampling_rate
        first = max(0, len(whole) - samples) // 2
        answer = predictor((whole[first : first + samples], predictor.sampling_rate))
        if not answer.silent:
            answers.append(answer)
            emotions.append(row.get(EMOTION) or "")
    return Heard(folder, answers, emotions)


def measure(references: list[Heard]) -> AffectWords:
    """Take the thresholds from answers to ordinary speech."""
    thresholds = {}
    for axis in ("arousal", "valence"):
        # a thousand steps of each folder, so that each counts the same whatever its size
        pooled = [np.quantile(heard.values(axis), np.linspace(0, 1, 1001)) for heard in references]
        low, high = np.quantile(np.concatenate(pooled), [TAIL, 1 - TAIL]).round(4).tolist()
        thresholds[axis] = (low, high)
    counts = " and ".join(f"{len(heard.answers)} clips of {heard.folder.resolve().name}" for heard in references)
    how = f"{TAIL:.0%} and {1 - TAIL:.0%} quantiles of the answers to crops of {SECONDS[0]} to {SECONDS[-1]} s"
    return AffectWords(**thresholds, measured_on=f"{how}: {counts}")


def table(words: AffectWords, heard: list[Heard]) -> str:
    """Share of each word, by folder and by emotion, in percent, as Markdown."""
    rows = []
    for each in heard:
        said = [words(a.arousal, a.valence) for a in each.answers]
        rows.append(_row(each.folder.resolve().name, said))
        for emotion in sorted(set(each.emotions) - {""}):
            rows.append(_row(f"- {emotion}", [w for w, e in zip(said, each.emotions, strict=True) if e == emotion]))
    return grid(["%", "clips", *WORDS], rows)


def _row(name: str, said: list[str]) -> list[str]:
    counts = Counter(said)
    return [name, str(len(said)), *(f"{100 * counts[word] / max(1, len(said)):.0f}" for word in WORDS)]
