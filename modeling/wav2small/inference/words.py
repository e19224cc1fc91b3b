"""Affect words: arousal and valence -> one plain word, by thresholds measured on the checkpoint's predictions.

The predictions of a small model lie close together, and their middle is not 0.5. With fixed thresholds nearly every
voice would get the same word. So `words.json`, beside the weights, holds the two thresholds of each axis for this
checkpoint. `wav2small calibrate` sets them so that most ordinary speech lies between them and gets the word "unsure".
A prediction beyond a threshold has a word only where its interval agrees, which means that all of the interval is on
the same side of the middle between the thresholds. Otherwise this axis counts as middle: "unsure" is an answer.
The words describe how a voice sounds, not what a person feels. Dominance is not used: with it there would be 27 words,
more than people can tell apart.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ..atomic import whole_file
from ..models.errors import Wav2SmallError

WORDS_FILE = "words.json"
UNSURE = "unsure"
SILENCE, NO_SPEECH = "silence", "no speech"  # what takes the place of the word
LEVELS = ("low", "middle", "high")
REGIONS = {  # from low to high arousal; in each row from low to high valence
    "low": ("subdued", "quiet", "calm"),
    "middle": ("displeased", UNSURE, "pleased"),
    "high": ("tense", "energetic", "excited"),
}


@dataclass(frozen=True, slots=True)
class AffectWords:
    """The thresholds of a checkpoint: where low ends and high begins.

    Attributes:
        arousal: (low, high): a prediction below the first is low, one above the second is high.
        valence: likewise.
        measured_on: how the thresholds were measured, and on which recordings.

    Raises:
        Wav2SmallError: if the second threshold of an axis is not above the first.

    Examples:
        >>> words = AffectWords(arousal=(0.3, 0.6), valence=(0.4, 0.6), measured_on="an example")
        >>> words(arousal=0.8, valence=0.2)
        'tense'
    """

    arousal: tuple[float, float]
    valence: tuple[float, float]
    measured_on: str

    def __post_init__(self) -> None:
        for axis in ("arousal", "valence"):
            low, high = getattr(self, axis)
            if not -math.inf < low < high < math.inf:
                raise Wav2SmallError(f"the thresholds of {axis} must rise, but they are {low:g} and {high:g}")

    def __call__(
        self,
        arousal: float,
        valence: float,
        arousal_interval: tuple[float, float] | None = None,
        valence_interval: tuple[float, float] | None = None,
    ) -> str:
        """One of the nine words of `REGIONS`; a value on a threshold belongs to the middle.

        Args:
            arousal: the prediction.
            valence: likewise.
            arousal_interval: low and high end of its interval; `None`: the prediction counts alone.
            valence_interval: likewise.
        """
        row = REGIONS[level(arousal, self.arousal, arousal_interval)]
        return row[LEVELS.index(level(valence, self.valence, valence_interval))]

    @classmethod
    def read(cls, folder: Path) -> "AffectWords | None":
        """Read the words of a checkpoint; `None` if it has no `words.json`.

        Raises:
            Wav2SmallError: if the file was not written by [`AffectWords.write`].
        """
        file = folder / WORDS_FILE
        if not file.is_file():
            return None
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            (low_arousal, high_arousal), (low_valence, high_valence) = content["arousal"], content["valence"]
            return cls((low_arousal, high_arousal), (low_valence, high_valence), content["measured_on"])
        except (ValueError, KeyError, TypeError) as error:
            raise Wav2SmallError(f"{file} holds no thresholds ({error}): run `wav2small calibrate` again") from None

    def write(self, folder: Path) -> None:
        """Write `words.json` into the folder of a checkpoint."""
        with whole_file(folder / WORDS_FILE) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def level(value: float, thresholds: tuple[float, float], interval: tuple[float, float] | None = None) -> str:
    """Which of `LEVELS` a value has; one whose interval reaches across the middle is there.

    >>> level(0.7, (0.4, 0.6)), level(0.7, (0.4, 0.6), (0.45, 0.8))
    ('high', 'middle')
    """
    low, high = thresholds
    middle, (bottom, top) = (low + high) / 2, interval or (value, value)
    return "low" if value < low and top <= middle else "high" if value > high and bottom >= middle else "middle"


def word_sentence(word: str) -> str:
    """Turn a word into a sentence, for the prompt of a language model.

    >>> word_sentence("calm")
    'The voice sounds calm (arousal low, valence high, compared with ordinary speech).'
    """
    if word == SILENCE:
        return "The recording is silent."
    if word == NO_SPEECH:
        return "Nobody speaks in the recording."
    arousal = next(name for name, row in REGIONS.items() if word in row)
    valence = LEVELS[REGIONS[arousal].index(word)]
    levels = f"(arousal {arousal}, valence {valence}, compared with ordinary speech)"
    if word == UNSURE:
        return f"Nothing stands out in how the voice sounds {levels}."
    return f"The voice sounds {word} {levels}."
