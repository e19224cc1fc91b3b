"""Detectors of speech side by side: how many clips of each folder they refuse, the time, and which words remain.

`python -m wav2small_training.benchmarks.speech_detection FOLDER ...`; webrtcvad-wheels and ten-vad take part where they
are installed.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime
import typer

import wav2small
from wav2small.bundled import bundled_checkpoints, checkout_checkpoints
from wav2small.cli.command import run_command
from wav2small.inference.speech import LEAST_SPEECH, detect_by_level, detect_by_silero
from wav2small.inference.words import NO_SPEECH, SILENCE, UNSURE
from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.audio import audio_files, read_audio

from ..evenly import evenly
from ..tables import grid

CLIPS = 600  # of a folder, evenly chosen
SECONDS = 5  # of each
Share = Callable[[np.ndarray], float]  # (samples,) at 16 kHz -> share of speech, 0..1


def detectors() -> dict[str, Share]:
    """What there is: the rule on levels, packages, and the checkpoints of ours that predict speech themselves."""
    found: dict[str, Share] = {
        "level": lambda clip: float(detect_by_level(clip).mean()),
        "Silero VAD": lambda clip: float(detect_by_silero(clip).mean()),
    }
    for name, folder in (bundled_checkpoints() | checkout_checkpoints()).items():
        predictor = wav2small.load(folder)
        if predictor.predicts_speech:
            found[f"`{name}`"] = partial(share_of_network, onnxruntime.InferenceSession(predictor.file))
    try:
        import webrtcvad
    except ModuleNotFoundError:
        pass
    else:
        found["WebRTC VAD"] = lambda clip: framed(clip, 320, webrtcvad.Vad(3))
    try:
        from ten_vad import TenVad

        TenVad(256)
    except (ModuleNotFoundError, OSError):  # OSError: without libc++
        pass
    else:
        found["TEN VAD"] = lambda clip: framed(clip, 256, TenVad(256))
    return found


def share_of_network(session: onnxruntime.InferenceSession, clip: np.ndarray) -> float:
    """The share of speech that a network predicts beside its logits."""
    return float(session.run(["speech"], {"input_values": clip[None]})[0][0, 0])


def framed(clip: np.ndarray, size: int, vad: object) -> float:
    """The share of frames that a detector of 16-bit frames takes for speech."""
    frames = (np.clip(clip, -1, 1) * 32767).astype(np.int16)[: len(clip) // size * size].reshape(-1, size)
    if hasattr(vad, "is_speech"):
        return float(np.mean([vad.is_speech(frame.tobytes(), SAMPLING_RATE) for frame in frames]))
    return float(np.mean([vad.process(frame)[0] > 0.5 for frame in frames]))  # type: ignore[attr-defined]


def read_clips(folder: Path) -> list[np.ndarray]:
    """The first seconds of clips of a folder."""
    return [read_audio(file)[: SECONDS * SAMPLING_RATE] for file in evenly(audio_files(folder), CLIPS)]


def words(clips: dict[str, list[np.ndarray]]) -> str:
    """A table in Markdown: percent of the clips that `wav2small` refuses, calls "unsure" and gives another word."""
    predictor, rows = wav2small.load(), []
    for name, each in clips.items():
        said = np.array([predictor((clip, SAMPLING_RATE)).word for clip in each])
        refused, unsure = np.isin(said, (SILENCE, NO_SPEECH)).mean(), np.mean(said == UNSURE)
        rows.append(
            [name, str(len(each)), *(f"{100 * share:.1f}" for share in (refused, unsure, 1 - refused - unsure))]
        )
    return grid(["%", "clips", "refused", UNSURE, "another word"], rows, True)


def measure(clips: dict[str, list[np.ndarray]]) -> str:
    """A table in Markdown: percent of the clips of each folder that a detector refuses, and ms for 5 s of audio."""
    rows = []
    for name, share in detectors().items():
        start, cells = time.process_time(), []
        for each in clips.values():
            cells.append(f"{100 * np.mean([share(clip) < LEAST_SPEECH for clip in each]):.1f}")
        seconds = sum(len(clip) for each in clips.values() for clip in each) / SAMPLING_RATE
        rows.append([name, *cells, f"{5000 * (time.process_time() - start) / seconds:.1f}"])
    return grid(["refused, %", *(f"{name} ({len(each)})" for name, each in clips.items()), "ms for 5 s"], rows, True)


def main(folders: Annotated[list[Path], typer.Argument(exists=True, help="Recordings.")]) -> None:
    """Print the tables, in Markdown."""
    recordings = {folder.resolve().name: read_clips(folder) for folder in folders}
    typer.echo(f"{words(recordings)}\n\n{measure(recordings)}")


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
