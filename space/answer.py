"""What every tab gives: how a recording sounds, as a whole and over time."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recording import RATE, heard, read
from wav2small import Prediction, Predictor

LONG = 10.0  # s: above, a recording is heard in windows, and the answer for the whole is their mean
WINDOW = 5.0  # s, what the students are trained on
ROWS = 120  # windows at most, so that ten minutes cost little more than two


@dataclass(frozen=True)
class Answer:
    """How one recording sounds.

    Attributes:
        name: of the file.
        heard: "speech", "no speech" or "silence".
        whole: for the recording as a whole.
        windows: over time, for a recording above 10 s; else empty.
        samples: (samples,) at 16 kHz.
        milliseconds: of computation, reading included.
    """

    name: str
    heard: str
    whole: Prediction
    windows: list[Prediction]
    samples: np.ndarray
    milliseconds: float

    @property
    def seconds(self) -> float:
        """Length of the recording, in s."""
        return len(self.samples) / RATE

    def as_dict(self) -> dict[str, float | str | None]:
        """The answer for the whole, ready for JSON."""
        values = asdict(self.whole)
        numbers = {name: round(values[name], 4) for name in ("arousal", "dominance", "valence")}
        times = {"seconds": round(self.seconds, 3), "milliseconds": round(self.milliseconds, 1)}
        return {"name": self.name, **numbers, "word": self.whole.word, "heard": self.heard, **times}


def answer(predictor: Predictor, source: Any, name: str) -> Answer:
    """Hear one recording.

    Args:
        predictor: the model.
        source: a path, or a binary file object.
        name: how the answer and its errors call the recording.

    Raises:
        Wav2SmallError: as `recording.read`.
    """
    begin = time.perf_counter()
    samples = read(source, name)
    whole, windows = hear(predictor, samples)
    return Answer(name, heard(samples), whole, windows, samples, 1000 * (time.perf_counter() - begin))


def hear(predictor: Predictor, samples: np.ndarray) -> tuple[Prediction, list[Prediction]]:
    """The answer for the whole of (samples,) at 16 kHz, and those of its windows where it is long."""
    seconds = len(samples) / RATE
    if seconds <= LONG:
        return predictor((samples, RATE)), []
    windows = predictor.timeline((samples, RATE), WINDOW, hop=max(1.0, seconds / ROWS))
    return mean(predictor, windows), windows


def mean(predictor: Predictor, windows: list[Prediction]) -> Prediction:
    """The mean of all windows that are not silent; of all, if all are."""
    voiced = [window for window in windows if not window.silent] or windows
    arousal, dominance, valence = np.mean([window.as_array() for window in voiced], axis=0).tolist()
    silent = voiced[0].silent
    word = voiced[0].word if silent or not predictor.words else predictor.words(arousal, valence)
    return Prediction(arousal, dominance, valence, windows[0].start, windows[-1].end, silent, word)
