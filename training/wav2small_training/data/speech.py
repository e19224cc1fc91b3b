"""The share of a crop in which somebody speaks, from what the detector of the library says of the whole recording."""

import numpy as np

from wav2small.inference.speech import CHUNK


def speech_share(spoken: np.ndarray, start: int, length: int) -> float:
    """Share of a crop in which somebody speaks, 0..1.

    Args:
        spoken: (chunks,) of the whole recording, as from `wav2small.inference.speech.detect_by_silero`.
        start: first sample of the crop.
        length: of the crop, in samples.
    """
    first, last = start // CHUNK, -(-(start + length) // CHUNK)
    return float(spoken[first:last].mean())
