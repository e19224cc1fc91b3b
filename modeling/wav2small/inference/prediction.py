"""What a model returns for a clip, or for one window of a recording."""

from dataclasses import asdict, dataclass

import numpy as np

from ..models.errors import Wav2SmallError
from .words import word_sentence


@dataclass(frozen=True, slots=True)
class Prediction:
    """How a clip, or one window of a recording, sounds.

    Attributes:
        arousal: calm (0) to excited (1); not clipped.
        dominance: weak (0) to strong (1); not clipped.
        valence: negative (0) to positive (1); not clipped.
        start: where the window begins in the recording, in s.
        end: where the window ends, in s.
        silent: true for digital silence; the three numbers then mean nothing.
        word: affect word, such as "tense", "calm" or, near the middle, "unsure"; "silence" if silent. `None` if the
            checkpoint has no `words.json`. See `wav2small.inference.words`.

    Examples:
        >>> print(Prediction(0.8, 0.6, 0.2, start=0, end=1.5, silent=False, word="tense"))
        0.0 to 1.5 s: arousal 0.80, dominance 0.60, valence 0.20, tense
    """

    arousal: float
    dominance: float
    valence: float
    start: float
    end: float
    silent: bool
    word: str | None = None

    def __str__(self) -> str:
        numbers = f"arousal {self.arousal:.2f}, dominance {self.dominance:.2f}, valence {self.valence:.2f}"
        return f"{self.start:.1f} to {self.end:.1f} s: {numbers}" + (f", {self.word}" if self.word else "")

    def as_dict(self) -> dict[str, float | bool | str | None]:
        """All fields by name.

        >>> Prediction(0.8, 0.6, 0.2, start=0, end=1.5, silent=False).as_dict()["valence"]
        0.2
        """
        return asdict(self)

    def as_array(self) -> np.ndarray:
        """(3,) float32: arousal, dominance, valence.

        >>> Prediction(0.8, 0.6, 0.2, start=0, end=1.5, silent=False).as_array()
        array([0.8, 0.6, 0.2], dtype=float32)
        """
        return np.array([self.arousal, self.dominance, self.valence], np.float32)

    def describe(self) -> str:
        """One sentence for the prompt of a language model.

        Raises:
            Wav2SmallError: if the checkpoint has no affect words.

        >>> Prediction(0.8, 0.6, 0.2, start=0, end=1.5, silent=False, word="tense").describe()
        'The voice sounds tense (arousal high, valence low, compared with ordinary speech).'
        """
        if self.word is None:
            raise Wav2SmallError("this checkpoint has no affect words: measure them with `wav2small calibrate`")
        return word_sentence(self.word)
