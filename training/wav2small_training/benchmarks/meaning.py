"""What a checkpoint says of kinds of sound: silence, noise, reading aloud, acted emotions, laughter, softer speech.

`python -m wav2small_training.benchmarks.meaning --speech FOLDER [--model MODEL]`; the folder holds the public corpora
of the recipes.
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

import wav2small
from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.audio import read_audio

from ..evenly import evenly
from ..tables import grid

CLIPS = 40  # of a kind, evenly chosen
SECONDS = 5  # of each at most
KINDS = {  # name: folder, and the emotion word of its clips
    "read speech (LibriSpeech)": ("librispeech_mini", ""),
    "spoken commands (Picovoice)": ("pico_commands", ""),
    "acted neutral, German (EmoDB)": ("emodb", "neutral"),
    "acted neutral, Polish (nEMO)": ("nemo", "neutral"),
    "acted anger (EmoDB)": ("emodb", "anger"),
    "acted happiness (EmoDB)": ("emodb", "happiness"),
    "acted sadness (EmoDB)": ("emodb", "sadness"),
    "laughter and amusement (EmoGator)": ("emogator", "amusement"),
    "dogs, rain, engines (ESC-10)": ("noise", ""),
}


def clips_of(folder: Path, emotion: str) -> list[np.ndarray]:
    """The first seconds of clips of a kind."""
    with (folder / "metadata.csv").open(encoding="utf-8") as file:
        names = [row["file_name"] for row in csv.DictReader(file) if not emotion or row.get("emotion") == emotion]
    chosen = evenly(names, CLIPS)
    return [read_audio(folder / name)[: SECONDS * SAMPLING_RATE] for name in chosen]


def row(name: str, values: np.ndarray, refused: str) -> list[str]:
    """Median, and 10 to 90 % quantile, of each dimension of (clips, 3)."""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
    spans = (f"{m:.2f} ({a:.2f} to {b:.2f})" for a, m, b in zip(low, middle, high, strict=True))
    return [name, str(len(values)), *spans, refused]


def measure(model: str | None, speech: Path) -> str:
    """A table in Markdown, and a line on what a level of -20 dB changes."""
    predictor = wav2small.load(model)
    tell: Callable[[np.ndarray], np.ndarray] = lambda clip: predictor.logits((clip, SAMPLING_RATE))  # noqa: E731
    random = np.random.default_rng(0)
    made = {
        "digital silence": np.zeros(SECONDS * SAMPLING_RATE, np.float32),
        "white noise": random.normal(0, 0.05, SECONDS * SAMPLING_RATE).astype(np.float32),
    }
    rows = [row(name, tell(clip)[None], "100") for name, clip in made.items()]
    quieter: list[np.ndarray] = []
    for name, (folder, emotion) in KINDS.items():
        clips = clips_of(speech / folder, emotion)
        values = np.array([tell(clip) for clip in clips])
        refused = np.mean([not one.spoken for one in predictor([(clip, SAMPLING_RATE) for clip in clips])])
        rows.append(row(name, values, f"{100 * refused:.0f}"))
        if folder == "librispeech_mini":
            quieter += list(np.array([tell(0.1 * clip) for clip in clips]) - values)
    change = np.abs(quieter).max()
    table = grid(["kind", "clips", "arousal", "dominance", "valence", "refused, %"], rows, True)
    return f"{table}\n\nThe same reading at a tenth of the amplitude: the largest change of any number is {change:.4f}."


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--model")
    arguments = parser.parse_args()
    print(measure(arguments.model, arguments.speech))  # noqa: T201
