"""The pitch of a voice over time, by autocorrelation (Boersma 1993): what makes its intonation wider or flatter."""

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from wav2small.models.adv import SAMPLING_RATE

FRAME, HOP = 1024, 160  # samples: 64 ms, so three periods of the lowest pitch, every 10 ms
LOWEST, HIGHEST = 65.0, 450.0  # in Hz
BAND = 1000.0  # in Hz: above it, periods that are no whole number of samples would not correlate
LEAST_CORRELATION = 0.6  # of a voiced frame with itself, one period later
SOFTEST_DB = -35.0  # of a voiced frame, relative to the loudest one
OCTAVE_COST = 0.02  # of the correlation, for each octave that the pitch is lower: its multiples correlate as well
LARGEST = np.log(1.7)  # of a move about the median: what is farther away is taken for an error of an octave
LEAST_VOICED, SMOOTHNESS = 10, 3  # frames


def relative_pitch(clip: np.ndarray) -> np.ndarray:
    """Pitch over time as a share of its median; between voiced sounds it goes straight from one to the next.

    Args:
        clip: (samples,) at 16 kHz.

    Returns:
        (samples,) from 1/1.7 to 1.7; 1 throughout where fewer than 10 frames are voiced.
    """
    pitch = pitch_track(clip)
    voiced = np.flatnonzero(np.isfinite(pitch))
    moves = np.log(pitch[voiced] / np.median(pitch[voiced])) if len(voiced) else np.zeros(0)
    voiced, moves = voiced[np.abs(moves) < LARGEST], moves[np.abs(moves) < LARGEST]
    if len(voiced) < LEAST_VOICED:
        return np.ones(len(clip))
    smooth = gaussian_filter1d(np.interp(np.arange(len(pitch)), voiced, median_filter(moves, 5)), SMOOTHNESS)
    return np.exp(np.interp(np.arange(len(clip)), FRAME / 2 + HOP * np.arange(len(pitch)), smooth))


def pitch_track(clip: np.ndarray) -> np.ndarray:
    """Pitch of each frame in Hz, NaN where it is not voiced.

    Args:
        clip: (samples,) at 16 kHz.

    Returns:
        (frames,), a frame of 64 ms every 10 ms; none for a clip below 64 ms.
    """
    if len(clip) < FRAME:
        return np.zeros(0)
    window = np.hanning(FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(clip, FRAME)[::HOP]
    power = np.square(frames).mean(axis=1) + 1e-12
    lags = np.arange(round(SAMPLING_RATE / HIGHEST), round(SAMPLING_RATE / LOWEST) + 1)
    likeness = _autocorrelation(window * (frames - frames.mean(axis=1, keepdims=True)))
    likeness = (
        likeness[:, lags] / np.maximum(likeness[:, :1], 1e-9) / (_autocorrelation(window)[lags] / window.dot(window))
    )
    best = (likeness - OCTAVE_COST * np.log2(lags / lags[0])).argmax(axis=1)
    correlation = likeness[np.arange(len(frames)), best]
    inside = (best > 0) & (best < len(lags) - 1)  # a maximum, not the flank of one
    loud = 10 * np.log10(power / power.max()) > SOFTEST_DB
    return np.where(inside & loud & (correlation > LEAST_CORRELATION), SAMPLING_RATE / lags[best], np.nan)


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    """(..., samples) of each frame below `BAND`, by its power spectrum."""
    power = np.abs(np.fft.rfft(frames, 2 * FRAME)) ** 2
    power[..., round(BAND * 2 * FRAME / SAMPLING_RATE) :] = 0
    return np.fft.irfft(power)[..., :FRAME]
