"""What a model returns for a clip, or for one window or turn of a recording."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..models.adv import LABELS
from ..models.errors import Wav2SmallError
from .intervals import COVERAGE, Errors, tails
from .words import NO_SPEECH, SILENCE, AffectWords, word_sentence

LOWEST, HIGHEST = -0.5, 1.5  # of the mean predictions of a network that learned something
CERTAIN_SECONDS = 0.5  # of speech; with less of it a prediction is uncertain


def check_range(values: np.ndarray, name: str) -> None:
    """Refuse predictions (..., 3) for ordinary speech that are far outside 0 to 1: of a network that is not trained.

    Raises:
        Wav2SmallError: if their means are outside.

    >>> check_range(np.array([0.5, 0.4, 0.6]), "mine")
    """
    means = np.asarray(values).reshape(-1, 3).mean(axis=0)
    if not ((means > LOWEST) & (means < HIGHEST)).all():
        told = ", ".join(f"{mean:.2f}" for mean in means)
        raise Wav2SmallError(f"{name} predicts {told} for ordinary speech, and 0 to 1 is usual: train it further")


@dataclass(frozen=True, slots=True)
class Prediction:
    """How a clip, or one window of a recording, sounds.

    Attributes:
        arousal: calm (0) to excited (1); NaN where there is not enough speech.
        dominance: weak (0) to strong (1); likewise.
        valence: negative (0) to positive (1); likewise.
        start: where the window begins in the recording, in s.
        end: where the window ends, in s.
        speech: share of the window in which somebody speaks, 0 to 1.
        word: affect word, such as "tense", "calm" or, near the middle and where the interval does not agree, "unsure";
            without speech "silence" or "no speech". `None` if the checkpoint has no `words.json`. See
            `wav2small.inference.words`.
        speaker: who speaks, if that is known.
        text: what is said, if that is known.
        errors: of the checkpoint for such clips, which make the intervals. `None` without speech, or if the
            checkpoint has no `intervals.json`.

    Examples:
        >>> print(Prediction(0.8, 0.6, 0.2, start=0, end=1.5, word="tense"))
        0.0 to 1.5 s: arousal 0.80, dominance 0.60, valence 0.20, tense
        >>> print(Prediction(math.nan, math.nan, math.nan, start=0, end=1.5, speech=0.03, word="no speech"))
        0.0 to 1.5 s: no speech
    """

    arousal: float
    dominance: float
    valence: float
    start: float
    end: float
    speech: float = 1.0
    word: str | None = None
    speaker: str | None = None
    text: str | None = None
    errors: Errors | None = field(default=None, repr=False)

    @property
    def spoken(self) -> bool:
        """Whether there is enough speech for numbers."""
        return not math.isnan(self.arousal)

    @property
    def uncertain(self) -> bool:
        """Whether there is less than .5 s of speech: another half second of the voice may sound quite different.

        >>> Prediction(0.8, 0.6, 0.2, start=0, end=0.4).uncertain
        True
        """
        return self.speech * (self.end - self.start) < CERTAIN_SECONDS

    def interval(self, dimension: str, coverage: float = COVERAGE) -> tuple[float, float]:
        """Where the rating of such a clip lies, in so many cases: low and high end.

        What stood for ratings, and how often the intervals held them for other speakers and in other noise, is in the
        checkpoint's `intervals.json`; see `docs/intervals.md`.

        Args:
            dimension: "arousal", "dominance" or "valence".
            coverage: .5, .8 or .9.

        Returns:
            NaN, NaN where there are no numbers, or the checkpoint has no intervals. An interval need not lie evenly
            around the prediction, and is not clipped.

        Raises:
            Wav2SmallError: for another dimension or coverage.

        >>> errors = ((-0.3, -0.2, -0.1, 0.1, 0.2, 0.3),) * 3
        >>> low, high = Prediction(0.8, 0.6, 0.2, start=0, end=1.5, errors=errors).interval("arousal")
        >>> print(f"{low:.1f} to {high:.1f}")
        0.6 to 1.0
        """
        if dimension not in LABELS:
            raise Wav2SmallError(f"dimension={dimension!r}: it must be one of {', '.join(LABELS)}")
        low, high = tails(coverage)
        if self.errors is None:
            return math.nan, math.nan
        errors, value = self.errors[LABELS.index(dimension)], getattr(self, dimension)
        return value + errors[low], value + errors[high]

    def differs(self, other: "Prediction", dimension: str, coverage: float = COVERAGE) -> bool:
        """Whether two predictions differ by more than the model's errors: their intervals do not touch.

        >>> errors = ((-0.3, -0.2, -0.1, 0.1, 0.2, 0.3),) * 3
        >>> one, other = (Prediction(value, 0.5, 0.5, start=0, end=2, errors=errors) for value in (0.3, 0.8))
        >>> one.differs(other, "arousal"), one.differs(other, "valence")
        (True, False)
        """
        (low, high), (bottom, top) = self.interval(dimension, coverage), other.interval(dimension, coverage)
        return high < bottom or top < low

    def worded(self, words: AffectWords) -> "Prediction":
        """This prediction with its affect word, which its intervals must agree with where there are any."""
        bands = (self.interval("arousal"), self.interval("valence")) if self.errors else ()
        return replace(self, word=words(self.arousal, self.valence, *bands))

    def __str__(self) -> str:
        parts = []
        if self.spoken:
            parts = [f"arousal {self.arousal:.2f}", f"dominance {self.dominance:.2f}", f"valence {self.valence:.2f}"]
        parts += [self.word] if self.word else []
        parts += ["uncertain"] if self.spoken and self.uncertain else []
        who = f"{self.speaker}, " if self.speaker else ""
        return f"{who}{self.start:.1f} to {self.end:.1f} s: {', '.join(parts)}"

    def as_dict(self) -> dict[str, Any]:
        """All fields by name, the interval of 80 % of each dimension, and whether the prediction is uncertain.

        `None` for a number that there is not. Speaker and text are left out where they are not known.

        >>> Prediction(0.8, 0.6, 0.2, start=0, end=1.5).as_dict()["valence"]
        0.2
        """
        fields = asdict(self)
        del fields["errors"]
        for name in LABELS:
            fields[f"{name}_low"], fields[f"{name}_high"] = self.interval(name)
        values = {name: None if value != value else value for name, value in fields.items()}  # NaN is not itself
        known = {name: value for name, value in values.items() if value is not None or name not in ("speaker", "text")}
        return {**known, "uncertain": self.uncertain}

    def as_array(self) -> np.ndarray:
        """(3,) float32: arousal, dominance, valence; NaN without speech.

        >>> Prediction(0.8, 0.6, 0.2, start=0, end=1.5).as_array()
        array([0.8, 0.6, 0.2], dtype=float32)
        """
        return np.array([self.arousal, self.dominance, self.valence], np.float32)

    def describe(self) -> str:
        """One sentence for the prompt of a language model.

        Raises:
            Wav2SmallError: if the checkpoint has no affect words.

        >>> Prediction(0.8, 0.6, 0.2, start=0, end=1.5, word="tense").describe()
        'The voice sounds tense (arousal high, valence low, compared with ordinary speech).'
        """
        if self.word is None:
            raise Wav2SmallError("this checkpoint has no affect words: measure them with `wav2small calibrate`")
        return word_sentence(self.word)


def no_prediction(start: float, end: float, speech: float, silent: bool) -> Prediction:
    """What stands for audio without speech: no numbers."""
    return Prediction(math.nan, math.nan, math.nan, start, end, speech, SILENCE if silent else NO_SPEECH)
