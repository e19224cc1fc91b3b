"""What every tab shows of a recording: its prediction, as a whole and over time."""

import math
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from wav2small import Prediction, Predictor
from wav2small.models.adv import LABELS, SAMPLING_RATE

from .recording import read

MAX_UNCUT = 10.0  # s: a longer recording is predicted in windows, and their mean stands for the whole
WINDOW = 5.0  # s, the length of the clips in training
RUNS = 3  # of each model in a comparison; their median time is shown
MAX_WINDOWS = 120  # so that ten minutes cost little more than two


@dataclass(frozen=True)
class Analysis:
    """How one recording sounds.

    Attributes:
        name: of the file.
        whole: prediction for the whole recording.
        windows: predictions over time, for a recording above 10 s; else empty.
        samples: (samples,) at 16 kHz; empty in a batch, which would keep hours of audio.
        seconds: length of the recording.
        milliseconds: of computation, reading included.
    """

    name: str
    whole: Prediction
    windows: list[Prediction]
    samples: np.ndarray
    seconds: float
    milliseconds: float

    @property
    def heard(self) -> str:
        """What is heard: "speech", "no speech" or "silence"."""
        return "speech" if self.whole.spoken else self.whole.word or ""

    def as_dict(self) -> dict[str, float | str | None]:
        """The prediction for the whole recording, ready for JSON."""
        values = {label: rounded(getattr(self.whole, label)) for label in LABELS}
        times = {"seconds": round(self.seconds, 3), "milliseconds": round(self.milliseconds, 1)}
        return {"name": self.name, **values, "word": self.whole.word, "heard": self.heard, **times}


def analyse(predictor: Predictor, source: Any, name: str) -> Analysis:
    """Read and predict one recording.

    Args:
        predictor: the model.
        source: a path, or a binary file object.
        name: of the recording, in the result and in error messages.

    Raises:
        Wav2SmallError: as `recording.read`.
    """
    start = time.perf_counter()
    samples = read(source, name)
    whole, windows = predict(predictor, samples)
    milliseconds = 1000 * (time.perf_counter() - start)
    return Analysis(name, whole, windows, samples, len(samples) / SAMPLING_RATE, milliseconds)


def rounded(value: float) -> float | None:
    """A number for JSON, which has no NaN."""
    return None if math.isnan(value) else round(value, 4)


def predict(predictor: Predictor, samples: np.ndarray) -> tuple[Prediction, list[Prediction]]:
    """Predict (samples,) at 16 kHz as a whole and, if they are long, in windows."""
    seconds = len(samples) / SAMPLING_RATE
    if seconds <= MAX_UNCUT:
        return predictor((samples, SAMPLING_RATE)), []
    windows = predictor.timeline((samples, SAMPLING_RATE), WINDOW, hop=max(1.0, seconds / MAX_WINDOWS))
    return predictor.mean(windows), windows


def timed(predictor: Predictor, samples: np.ndarray) -> dict[str, float | int | str | None]:
    """Predict (samples,) at 16 kHz: arousal, dominance, valence, word, bytes of the model, and median milliseconds."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        whole, windows = predict(predictor, samples)
        times.append(1000 * (time.perf_counter() - start))
        if windows:
            break  # one run over many windows is stable enough
    values = {label: rounded(getattr(whole, label)) for label in LABELS}
    return {
        **values,
        "word": whole.word,
        "bytes": predictor.file.stat().st_size,
        "milliseconds": round(median(times), 1),
    }
