"""Time and memory are those of the contestant, not of what runs beside it."""

import time
from pathlib import Path

import pytest

from wav2small_training.benchmarks.race import Contestant, peak_memory, race
from wav2small_training.benchmarks.runtimes import Run


def load_slow(path: Path | None) -> Run:
    return lambda waveform: time.sleep(0.02)


def load_quick(path: Path | None) -> Run:
    return lambda waveform: time.sleep(0.002)


def load_50_megabytes(path: Path | None) -> Run:
    return lambda waveform: b"x" * (50 << 20)


def load_none(path: Path | None) -> Run:
    return lambda waveform: None


@pytest.mark.timing
def test_a_race_times_each_contestant_by_itself():
    times = race([Contestant("slow", load_slow), Contestant("quick", load_quick)], runs=5)
    assert times["slow"] > 2 * times["quick"]


@pytest.mark.timing
def test_peak_memory_is_that_of_a_process_of_its_own():
    ballast = bytes(200 << 20)
    none, some = (peak_memory(Contestant("", load)) for load in (load_none, load_50_megabytes))
    assert some - none == pytest.approx(50, abs=5)
    assert none < 150 < len(ballast) >> 20, "memory of this process was counted"
