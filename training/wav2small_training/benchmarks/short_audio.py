"""How far predictions for very short audio are from those for the whole clip, as it is and repeated.

`python -m wav2small_training.benchmarks.short_audio FOLDER [--model MODEL]`; of each clip the middle is cut out.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import wav2small
from wav2small.cli.command import run_command
from wav2small.inference.predictor import REPEATED
from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.models.audio import audio_files, read_audio

from ..evenly import evenly
from ..tables import grid

CLIPS = 100  # of the folder, evenly chosen
CROPS = (0.1, 0.3, 0.5, 1.0)  # s


def measure(model: str | None, folder: Path) -> str:
    """A table in Markdown: root mean square difference to the prediction for the whole clip."""
    predictor = wav2small.load(model)
    clips = [read_audio(file) for file in evenly(audio_files(folder), CLIPS)]
    whole = np.array([predictor.logits((clip, SAMPLING_RATE)) for clip in clips])
    rows = []
    for seconds in CROPS:
        size = round(seconds * SAMPLING_RATE)
        crops = [clip[max(0, len(clip) - size) // 2 :][:size] for clip in clips]
        for way, length in (("as it is", size), (f"repeated to {REPEATED:g} s", round(REPEATED * SAMPLING_RATE))):
            values = np.array([predictor.logits((np.resize(crop, length), SAMPLING_RATE)) for crop in crops])
            errors = np.sqrt(np.mean((values - whole) ** 2, axis=0))
            rows.append([f"{seconds:g} s", way, *(f"{error:.2f}" for error in errors)])
    return grid(["crop", "", *LABELS], rows, True)


def main(
    folder: Annotated[Path, typer.Argument(exists=True, help="Recordings of speech.")],
    model: Annotated[str | None, typer.Option(help="Default: the default checkpoint.")] = None,
) -> None:
    """Print the table, in Markdown."""
    typer.echo(measure(model, folder))


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
