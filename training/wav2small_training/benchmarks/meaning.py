"""What a checkpoint says of kinds of sound: silence, noise, reading aloud, acted emotions, laughter, softer speech.

`python -m wav2small_training.benchmarks.meaning --speech FOLDER [--model MODEL]`; the folder holds the public corpora
of the recipes.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import wav2small
from wav2small.cli.command import run_command
from wav2small.models.adv import SAMPLING_RATE

from ..data.corpora import folder_rows, waveform
from ..evenly import evenly
from ..recipe import Corpus
from ..tables import grid

CLIPS = 40  # of a kind, evenly chosen
SECONDS = 5  # of each at most
READING = "read speech (LibriSpeech)"
KINDS = {  # name: folder, and the emotion word of its clips
    READING: ("librispeech_mini", ""),
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
    corpus = Corpus(source=str(folder), licence="unknown", where={"emotion": emotion} if emotion else {})
    return [waveform(row, corpus)[: SECONDS * SAMPLING_RATE] for row in evenly(folder_rows(folder, corpus), CLIPS)]


def predict(predictor: wav2small.Predictor, clips: list[np.ndarray]) -> np.ndarray:
    """The network's own numbers, (clips, 3), also where nobody speaks."""
    return np.array([predictor.logits((clip, SAMPLING_RATE)) for clip in clips])


def row(name: str, predictor: wav2small.Predictor, clips: list[np.ndarray]) -> list[str]:
    """Median, and 10 to 90 % quantile, of each dimension, and the share of clips that have no speech."""
    low, middle, high = np.quantile(predict(predictor, clips), [0.1, 0.5, 0.9], axis=0)
    spans = (f"{m:.2f} ({a:.2f} to {b:.2f})" for a, m, b in zip(low, middle, high, strict=True))
    refused = np.mean([not one.spoken for one in predictor([(clip, SAMPLING_RATE) for clip in clips])])
    return [name, str(len(clips)), *spans, f"{100 * refused:.0f}"]


def measure(model: str | None, speech: Path) -> str:
    """A table in Markdown, and a line on what a level of -20 dB changes."""
    predictor, random = wav2small.load(model), np.random.default_rng(0)
    kinds = {
        "digital silence": [np.zeros(SECONDS * SAMPLING_RATE, np.float32)],
        "white noise": [random.normal(0, 0.05, SECONDS * SAMPLING_RATE).astype(np.float32)],
    }
    kinds |= {name: clips_of(speech / folder, emotion) for name, (folder, emotion) in KINDS.items()}
    rows = [row(name, predictor, clips) for name, clips in kinds.items()]
    reading = kinds[READING]
    change = np.abs(predict(predictor, [0.1 * clip for clip in reading]) - predict(predictor, reading)).max()
    table = grid(["kind", "clips", "arousal", "dominance", "valence", "refused, %"], rows, True)
    return f"{table}\n\nThe same reading at a tenth of the amplitude: the largest change of any number is {change:.4f}."


def main(
    speech: Annotated[Path, typer.Option(exists=True, help="Folder of the corpora.")],
    model: Annotated[str | None, typer.Option(help="Default: the default checkpoint.")] = None,
) -> None:
    """Print the table, in Markdown."""
    typer.echo(measure(model, speech))


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
