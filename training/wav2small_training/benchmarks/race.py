"""Time and memory of several ways to run a model, side by side, on one thread."""

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wav2small.models.adv import SAMPLING_RATE

from .runtimes import Load, load_nothing

SECONDS = 5.0
RUNS = 50
WARM_UP = 5
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Contestant:
    """One way to run a model.

    Attributes:
        name: in the table; unique.
        load: function of a module, such as those of `runtimes`: called with the path, it returns a function of a
            waveform (1, samples) float32. It is also called in a process of its own, where memory is measured.
        path: of the file or folder to load, if there is one.
    """

    name: str
    load: Load
    path: Path | None = None


@dataclass(frozen=True)
class Cost:
    """What a contestant costs.

    Attributes:
        bytes: size of its file; `None` if it has no file.
        ms: median time, in milliseconds.
        peak_mb: peak resident memory of a process that loads and runs it, in MB.
    """

    bytes: int | None
    ms: float
    peak_mb: float


def measure(contestants: Iterable[Contestant], runs: int = RUNS, seconds: float = SECONDS) -> dict[str, Cost]:
    """Measure size, time and memory of contestants, by name; arguments as for [`race`]."""
    contestants = list(contestants)
    times = race(contestants, runs, seconds)
    return {
        one.name: Cost(
            one.path.stat().st_size if one.path and one.path.is_file() else None,
            times[one.name],
            peak_memory(one, seconds),
        )
        for one in contestants
    }


def race(contestants: Iterable[Contestant], runs: int = RUNS, seconds: float = SECONDS) -> dict[str, float]:
    """Time contestants in turns on the same audio, so that other load of the machine affects all of them alike.

    Args:
        contestants: with different names.
        runs: of each, after some to warm up.
        seconds: of noise; none of our models takes longer for speech.

    Returns:
        The median time of each by its name, in ms.
    """
    waveform = np.random.default_rng(0).normal(0, 0.1, (1, round(seconds * SAMPLING_RATE))).astype(np.float32)
    functions = {one.name: one.load(one.path) for one in contestants}
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(WARM_UP + runs):
        for name, run in functions.items():
            start = time.perf_counter()
            run(waveform)
            times[name].append(time.perf_counter() - start)
    return {name: 1000 * float(np.median(each[WARM_UP:])) for name, each in times.items()}


def peak_memory(contestant: Contestant, seconds: float = SECONDS) -> float:
    """Peak resident memory in MB of a process that loads a contestant and runs it once; Linux only."""
    function = f"{contestant.load.__module__}:{contestant.load.__name__}"
    arguments = [function, str(contestant.path or ""), str(round(seconds * SAMPLING_RATE))]
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "wav2small_training.benchmarks.peak_memory", *arguments],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout.split()[-1]) / 1024


def idle_memory() -> float:
    """Peak resident memory in MB of a process that imports numpy and ONNX Runtime and runs nothing."""
    return peak_memory(Contestant("", load_nothing))


def processor() -> str:
    """The name of this machine's processor."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", info.read_text(), re.MULTILINE) if info.is_file() else []
    return names[0] if names else platform.processor()
