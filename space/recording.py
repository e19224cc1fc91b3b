"""A recording: read within the limits of the demo, judged for speech, and gone from the disk afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from gradio.utils import get_upload_folder

from wav2small import Wav2SmallError
from wav2small.models import audio

RATE = 16000
MAX_SECONDS = 600
MAX_BYTES = 50 * 2**20
SILENCE_DB = -60  # below full scale: softer than any microphone's own noise
STEADY_DB = 6  # between loud and soft moments: pink noise has 4, speech more than 10, for it pauses and has syllables


@contextmanager
def uploaded(path: str) -> Iterator[Path]:
    """Give an uploaded file to read; when the block ends, however it ends, the file is deleted.

    Raises:
        Wav2SmallError: if the path is not one of an upload: whoever calls the API chooses it.
    """
    file = Path(path).resolve()
    if not file.is_relative_to(Path(get_upload_folder()).resolve()):
        raise Wav2SmallError(f"{file.name} was not uploaded")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
        with suppress(OSError):  # its folder holds this file alone
            file.parent.rmdir()


def read(source: Any, name: str) -> np.ndarray:
    """Read a recording as (samples,) float32 at 16 kHz.

    Args:
        source: a path, or a binary file object.
        name: how an error calls it.

    Raises:
        Wav2SmallError: if it is no audio, or over 10 minutes or 50 MB.
    """
    if isinstance(source, Path) and source.is_file() and source.stat().st_size > MAX_BYTES:
        raise Wav2SmallError(f"{name} is larger than {MAX_BYTES // 2**20} MB: cut it, or save it as OGG or MP3")
    blocks, samples = [], 0
    try:
        for block in audio.stream_audio(source, RATE):
            blocks.append(block)
            samples += len(block)
            if samples > MAX_SECONDS * RATE:
                raise Wav2SmallError(f"{name} is longer than {MAX_SECONDS // 60} minutes: cut it into parts")
    except Wav2SmallError as error:  # the folder of an upload means nothing to its owner
        raise Wav2SmallError(str(error).replace(audio.source_name(source), name)) from None
    if samples < RATE // 10:
        raise Wav2SmallError(f"{name} is {samples / RATE:.2f} s long: at least 0.1 s are needed")
    return np.concatenate(blocks)


def heard(samples: np.ndarray, rate: int = RATE) -> str:
    """What was heard, by level alone: "silence", "no speech" (a steady sound) or "speech".

    Args:
        samples: (samples,), at least 25 ms; the level is taken over stretches of that length.
        rate: of the samples, in Hz.
    """
    size = rate // 40
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    soft, loud = np.percentile(level, [10, 95])
    if loud < SILENCE_DB:
        return "silence"
    return "no speech" if loud - soft < STEADY_DB else "speech"
