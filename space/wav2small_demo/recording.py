"""A recording: read within the limits of the demo."""

from pathlib import Path
from typing import Any

import numpy as np

from wav2small import Wav2SmallError
from wav2small.models import audio
from wav2small.models.adv import SAMPLING_RATE

from .limits import MAX_BYTES


def read(source: Any, name: str) -> np.ndarray:
    """Read a recording as (samples,) float32 at 16 kHz.

    Args:
        source: a path, or a binary file object.
        name: of the recording in error messages.

    Raises:
        Wav2SmallError: if it is not readable audio, is below 0.1 s, or is above 10 minutes or 50 MB.
    """
    if isinstance(source, Path) and source.is_file() and source.stat().st_size > MAX_BYTES:
        raise too_large(name)
    try:
        return audio.read_clip(source, SAMPLING_RATE)
    except Wav2SmallError as error:  # name the file as its owner does, not by its folder on the server
        raise Wav2SmallError(str(error).replace(audio.source_name(source), name)) from None


def too_large(name: str) -> Wav2SmallError:
    """The error for a file above the limit."""
    return Wav2SmallError(f"{name} is larger than {MAX_BYTES // 2**20} MB: cut it, or save it as OGG or MP3")
