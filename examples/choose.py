"""Copies the example recordings out of public corpora, by the rule in README.md; run it from the root of the project.

python examples/choose.py [FOLDER]    FOLDER holds the corpora; default: ../shared/speech
"""

import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.audio import read_audio

PLACES = (Path("examples"), Path("space/wav2small_demo/examples"))  # the page has its own copies, for a Space
Row = dict[str, str]  # of a corpus' metadata.csv


@dataclass(frozen=True)
class Example:
    """An example: the first recording of a corpus, by file name, for which `fits` is true.

    Attributes:
        name: of the example's file.
        corpus: folder of the corpus.
        fits: takes the recording's row of metadata.csv.
    """

    name: str
    corpus: str
    fits: Callable[[Row], bool]


def acted(emotion: str, speaker: int) -> Callable[[Row], bool]:
    """EmoDB: this emotion, recognised by at least 90 % of the listeners; no model was trained on 14 and 15."""
    return lambda row: (
        row["emotion"] == emotion and row["speaker"] == f"emodb_{speaker}" and float(row["rater_agreement"]) >= 0.9
    )


def read(sex: str, low: float, high: float) -> Callable[[Row], bool]:
    """LibriSpeech: a woman ("f") or a man ("m"), of a length in s."""
    return lambda row: row["sex"] == sex and low <= float(row["duration_s"]) <= high


def burst(emotion: str) -> Callable[[Row], bool]:
    """EmoGator: a person whom no model was trained on."""
    return lambda row: row["emotion"] == emotion and row["split"] == "validation"


def first_of(files: set[str]) -> Callable[[Row], bool]:
    """ESC-10: one of a class, of which metadata.csv says nothing."""
    return lambda row: row["file_name"].removesuffix(".flac") in files


DOGS = {"1-30226-A", "1-30344-A", "2-122104-A"}  # the first ones of the folders of ESC-10
RAINS = {"1-17367-A", "1-21189-A", "1-26222-A"}
EXAMPLES = (
    Example("anger_emodb14.flac", "emodb", acted("anger", 14)),
    Example("joy_emodb15.flac", "emodb", acted("happiness", 15)),
    Example("sadness_emodb14.flac", "emodb", acted("sadness", 14)),
    Example("neutral_emodb15.flac", "emodb", acted("neutral", 15)),
    Example("woman_libri1183.flac", "librispeech_mini", read("f", 4, 8)),
    Example("man_libri1235.flac", "librispeech_mini", read("m", 15, 20)),
    Example("amused_emogator.flac", "emogator", burst("amusement")),
    Example("relief_emogator.flac", "emogator", burst("relief")),
    Example("dog_esc10.flac", "noise", first_of(DOGS)),
    Example("rain_esc10.flac", "noise", first_of(RAINS)),
)


def choose(example: Example, corpora: Path) -> Path:
    """The recording that the rule gives."""
    with (corpora / example.corpus / "metadata.csv").open(newline="", encoding="utf-8") as file:
        names = sorted(row["file_name"] for row in csv.DictReader(file) if example.fits(row))
    return corpora / example.corpus / names[0]


def main() -> None:
    """Write all examples, and 2 s of digital silence."""
    corpora = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/speech")
    clips = {example.name: read_audio(choose(example, corpora), SAMPLING_RATE) for example in EXAMPLES}
    clips["silence.flac"] = np.zeros(2 * SAMPLING_RATE, np.float32)
    for place in PLACES:
        place.mkdir(exist_ok=True)
        for name, samples in clips.items():
            soundfile.write(place / name, samples, SAMPLING_RATE, "PCM_16")


if __name__ == "__main__":
    main()
