"""Against a speaker's own normal, and without jitter: what stands beside the predictions of a conversation.

Neither replaces a prediction. Whether a baseline helps depends on the checkpoint; measured in `docs/conversations.md`.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..models.errors import Wav2SmallError
from .prediction import Prediction

FEWEST = 3  # turns of which a spread can be told
LEAST_SPREAD = 0.02  # of a speaker: what differs less is the same to a model
MAD_TO_SIGMA = 1.4826  # of a normal distribution: standard deviation by median absolute deviation


@dataclass(frozen=True)
class Baseline:
    """A speaker's own normal: median and spread of predictions for some neutral minutes.

    Attributes:
        median: (3,) arousal, dominance, valence.
        spread: (3,): 1.48 times the median absolute deviation, which is the standard deviation of a normal
            distribution; at least 0.02.
        turns: number of predictions that it rests on.

    Examples:
        >>> turns = [Prediction(0.3 + i / 50, 0.4, 0.5, start=i, end=i + 1) for i in range(5)]
        >>> normal = Baseline.of(turns)
        >>> normal(Prediction(0.6, 0.4, 0.5, start=9, end=10)).round(1)
        array([8.8, 0. , 0. ], dtype=float32)
    """

    median: np.ndarray
    spread: np.ndarray
    turns: int

    @classmethod
    def of(cls, predictions: Iterable[Prediction]) -> "Baseline":
        """Measure the normal of a speaker; predictions without speech do not count.

        Raises:
            Wav2SmallError: if there are fewer than 3 predictions with speech.
        """
        values = np.array([one.as_array() for one in predictions if one.spoken]).reshape(-1, 3)
        if len(values) < FEWEST:
            raise Wav2SmallError(f"a baseline needs {FEWEST} turns with speech or more, not {len(values)}")
        median = np.median(values, axis=0)
        spread = MAD_TO_SIGMA * np.median(np.abs(values - median), axis=0)
        return cls(median, np.maximum(spread, LEAST_SPREAD), len(values))

    def difference(self, prediction: Prediction) -> np.ndarray:
        """(3,): how far a prediction is from the speaker's median; NaN without speech."""
        return np.asarray(prediction.as_array() - self.median)

    def __call__(self, prediction: Prediction) -> np.ndarray:
        """(3,): how many spreads a prediction is from the speaker's median; NaN without speech."""
        return np.asarray(self.difference(prediction) / self.spread)


class RunningBaseline:
    """The normal of a speaker over the last turns, for a conversation without neutral minutes.

    Args:
        turns: how many turns it looks back; at least 3.

    Examples:
        >>> running = RunningBaseline()
        >>> [running.push(Prediction(0.5, 0.5, 0.5, i, i + 1)) is None for i in range(4)]
        [True, True, True, False]
    """

    def __init__(self, turns: int = 20):
        if turns < FEWEST:
            raise Wav2SmallError(f"turns={turns}: a baseline needs {FEWEST} turns or more")
        self._turns: deque[Prediction] = deque(maxlen=turns)

    def push(self, prediction: Prediction) -> np.ndarray | None:
        """Compare a turn with those before it, and remember it.

        Returns:
            (3,): how many spreads it is from the median of the turns before it; `None` while there are fewer than 3.
        """
        relative = Baseline.of(self._turns)(prediction) if len(self._turns) >= FEWEST else None
        if prediction.spoken:
            self._turns.append(prediction)
        return relative


def hold(predictions: Iterable[Prediction], seconds: float = 4.0) -> list[Prediction]:
    """Give a timeline inertia: numbers glide, and a word stays until another one has lasted.

    Numbers are an exponential average over time: after `seconds` of another voice, 63 % of the way is done. The word
    is that of the predictions as they were, but a new one counts only once it has been there for `seconds`. Windows
    without speech stay as they are, and what follows them starts afresh.

    Args:
        predictions: of one speaker or recording, in order of time.
        seconds: of inertia, above 0; 3 to 5 is a good choice for a display.

    Raises:
        Wav2SmallError: if `seconds` is not above 0.

    Examples:
        >>> rows = [Prediction(0.2 if i < 6 else 0.8, 0.5, 0.5, i, i + 1, word="calm" if i < 6 else "excited")
        ...         for i in range(12)]
        >>> [row.word for row in hold(rows)][4:]
        ['calm', 'calm', 'calm', 'calm', 'calm', 'calm', 'excited', 'excited']
    """
    if not seconds > 0:
        raise Wav2SmallError(f"seconds={seconds}: it must be above 0")
    held: list[Prediction] = []
    state: np.ndarray | None = None
    word, rival, since, before = None, None, 0.0, 0.0
    for one in predictions:
        if not one.spoken:
            state = None
            held.append(one)
            continue
        values = one.as_array().astype(float)
        if state is None:
            state, word, rival = values, one.word, one.word
        else:
            state = state + (1 - math.exp(-(one.end - before) / seconds)) * (values - state)
        before = one.end
        if one.word != rival:
            rival, since = one.word, one.end
        if rival != word and one.end - since >= seconds:
            word = rival
        arousal, dominance, valence = state.tolist()
        held.append(replace(one, arousal=arousal, dominance=dominance, valence=valence, word=word))
    return held
