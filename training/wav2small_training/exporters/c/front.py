"""The constants of a front end as C."""

import numpy as np
import torch

from wav2small.models.errors import Wav2SmallError
from wav2small.models.log_mel import POWER_FLOOR, VARIANCE_FLOOR, FftLogMel, LogMel

from .text import array, defines


def front_end(log_mel: FftLogMel | LogMel, scale: np.ndarray, shift: np.ndarray) -> str:
    """Definitions and tables for `front.c`.

    Args:
        log_mel: of the model.
        scale: (bands,), of the natural logarithm of the power of a band.
        shift: (bands,), added to that.

    Raises:
        Wav2SmallError: if the front end is one that the C code does not have.
    """
    n_fft, hop = log_mel.n_fft, log_mel.hop_length
    window = log_mel.window_length if isinstance(log_mel, FftLogMel) else n_fft
    if n_fft & (n_fft - 1) or n_fft < 16:
        raise Wav2SmallError(f"n_fft={n_fft}: the C code has an FFT for powers of 2 from 16 on")
    if hop > window:
        raise Wav2SmallError(f"hop_length={hop}: the C code needs at most the window, {window} samples")
    if isinstance(log_mel, LogMel):
        check_dft(log_mel)
    mel = log_mel.mel.numpy()
    starts, sizes, values = [], [], []
    for band in mel.T:
        (heard,) = band.nonzero()
        start, end = (int(heard[0]), int(heard[-1]) + 1) if len(heard) else (0, 0)
        starts.append(start)
        sizes.append(end - start)
        values.extend(band[start:end])
    angle = 2 * np.pi * (np.arange(n_fft * 3 // 4 + 1) - n_fft // 4) / n_fft
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window // 2 + 1) / window)
    floor = log_mel.power_floor if isinstance(log_mel, FftLogMel) else POWER_FLOOR
    return (
        defines({"N_FFT": n_fft, "WINDOW": window, "HOP": hop})
        + defines({"POWER_FLOOR": float(floor), "VARIANCE_FLOOR": float(VARIANCE_FLOOR)})
        + array("float", "TURNS", np.cos(angle))
        + "#define SINE(k) TURNS[k] /* of k / N_FFT of a turn, up to half a turn */\n"
        + "#define COSINE(k) TURNS[(k) + N_FFT / 4]\n"
        + array("float", "HANN", hann)
        + array("uint16_t", "MEL_START", np.array(starts))
        + array("uint8_t", "MEL_SIZE", np.array(sizes))
        + array("float", "MEL_WEIGHTS", np.array(values))
        + array("float", "BAND_SCALE", scale)
        + array("float", "BAND_SHIFT", shift)
    )


def check_dft(log_mel: LogMel) -> None:
    """Refuse a front end whose stored constants are not the ones that its arguments describe."""
    described = LogMel(
        log_mel.sampling_rate, log_mel.n_fft, log_mel.hop_length, log_mel.mel.shape[1], log_mel.f_min, log_mel.f_max
    )
    for stored, expected in zip(log_mel.parameters(), described.parameters(), strict=True):
        if not torch.allclose(stored, expected, rtol=0, atol=1e-5):
            raise Wav2SmallError("the front end of this checkpoint is not the one that its config describes")
