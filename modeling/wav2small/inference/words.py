"""Arousal and valence -> one plain word, by thresholds measured on the checkpoint's own answers.

The answers of a small model cluster: .5 is not their middle, and a table that takes it for the middle calls nearly
every voice the same. `words.json`, beside the weights, holds where "low" ends and "high" begins for this checkpoint:
`wav2small calibrate` sets both so that ordinary speech lies mostly between them, and is "unsure". The words say how a
voice sounds, not what a person feels. Dominance takes no part: it would ask for 27 words that people can tell apart.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ..atomic import whole_file
from ..models.errors import Wav2SmallError

WORDS_FILE = "words.json"
UNSURE = "unsure"
SILENCE = "silence"
LEVELS = ("low", "middle", "high")
REGIONS = {  # arousal, upwards: valence low, middle, high
    "low": ("subdued", "quiet", "calm"),
    "middle": ("displeased", UNSURE, "pleased"),
    "high": ("tense", "energetic", "excited"),
}


@dataclass(frozen=True, slots=True)
class AffectWords:
    """Where low ends and high begins on the axes of a checkpoint.

    Attributes:
        arousal: (low, high): an answer below the first is low, one above the second is high.
        valence: likewise.
        measured_on: how, and on which recordings.

    Raises:
        Wav2SmallError: if two thresholds do not rise.
    """

    arousal: tuple[float, float]
    valence: tuple[float, float]
    measured_on: str

    def __post_init__(self):
        for axis in ("arousal", "valence"):
            low, high = getattr(self, axis)
            if not -math.inf < low < high < math.inf:
                raise Wav2SmallError(f"the thresholds of {axis} must rise, unlike {low:g} and {high:g}")

    def __call__(self, arousal: float, valence: float) -> str:
        """One of the nine words of `REGIONS`; an answer on a threshold is in the middle."""
        return REGIONS[level(arousal, self.arousal)][LEVELS.index(level(valence, self.valence))]

    @classmethod
    def read(cls, folder: Path) -> "AffectWords | None":
        """The words of a checkpoint; `None` if it has no `words.json`.

        Raises:
            Wav2SmallError: if the file is not one that [`AffectWords.write`] wrote.
        """
        file = folder / WORDS_FILE
        if not file.is_file():
            return None
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            (quiet, loud), (dark, bright) = content["arousal"], content["valence"]
            return cls((quiet, loud), (dark, bright), content["measured_on"])
        except (ValueError, KeyError, TypeError) as error:
            raise Wav2SmallError(f"{file} holds no thresholds ({error}): run `wav2small calibrate` again") from None

    def write(self, folder: Path) -> None:
        """Write `words.json` into the folder of a checkpoint."""
        with whole_file(folder / WORDS_FILE) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def level(answer: float, thresholds: tuple[float, float]) -> str:
    """Which of `LEVELS` an answer has."""
    low, high = thresholds
    return "low" if answer < low else "high" if answer > high else "middle"


def word_sentence(word: str) -> str:
    """A word as a sentence, for the prompt of a language model."""
    if word == SILENCE:
        return "The recording is silent."
    arousal = next(name for name, row in REGIONS.items() if word in row)
    valence = LEVELS[REGIONS[arousal].index(word)]
    levels = f"(arousal {arousal}, valence {valence}, compared with ordinary speech)"
    if word == UNSURE:
        return f"Nothing stands out in how the voice sounds {levels}."
    return f"The voice sounds {word} {levels}."
