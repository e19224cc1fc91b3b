"""Races on one thread: contestants take turns at the same audio; time, and peak memory in processes of their own."""

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SECONDS = 5.0
RATE = 16000
RUNS = 50
WARM_UP = 5
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Contestant:
    """Something that takes 5 s of audio.

    Attributes:
        name: in the table.
        code: Python that defines `run(waveform)`, for a waveform (1, samples) float32; it may name `path`.
        path: of the file that it loads, if there is one.
    """

    name: str
    code: str
    path: Path | None = None

    @property
    def bytes(self) -> int | None:
        """Size of the file."""
        return self.path.stat().st_size if self.path else None

    def load(self) -> Callable[[np.ndarray], Any]:
        """Get the function `run` in this process."""
        names: dict[str, Any] = {"path": str(self.path)}
        exec(self.code, names)  # the same code runs in a process of its own, where memory is measured
        return names["run"]


ONNX = """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
def run(waveform):
    return session.run(["logits"], {"input_values": waveform})[0]
"""
TORCH = """
import os, torch, wav2small.models.auto
from transformers import AutoModelForAudioClassification
torch.set_num_threads(1)
model = AutoModelForAudioClassification.from_pretrained(os.path.dirname(path)).eval()
def run(waveform):
    with torch.inference_mode():
        return model(torch.from_numpy(waveform)).logits.numpy()
"""
OPENSMILE = """
import opensmile
smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals, num_workers=1)
def run(waveform):
    return smile.process_signal(waveform[0], 16000)
"""
NOTHING = """
import onnxruntime
def run(waveform):
    return waveform
"""
PEAK = """
import sys, numpy
path = sys.argv[1]
exec(sys.argv[2])
run(numpy.random.default_rng(0).normal(0, 0.1, (1, int(sys.argv[3]))).astype(numpy.float32))
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def race(contestants: Iterable[Contestant], runs: int = RUNS, seconds: float = SECONDS) -> dict[str, float]:
    """Let all take turns at the same audio.

    Args:
        contestants: with different names.
        runs: of each, after some to warm up.
        seconds: of noise, made up; none of ours takes longer with speech.

    Returns:
        The median time of each by its name, in ms.
    """
    waveform = np.random.default_rng(0).normal(0, 0.1, (1, round(seconds * RATE))).astype(np.float32)
    functions = {one.name: one.load() for one in contestants}
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(WARM_UP + runs):
        for name, run in functions.items():
            begin = time.perf_counter()
            run(waveform)
            times[name].append(time.perf_counter() - begin)
    return {name: 1000 * float(np.median(each[WARM_UP:])) for name, each in times.items()}


def peak_memory(contestant: Contestant, seconds: float = SECONDS) -> float:
    """Peak resident memory in MB of a process that loads a contestant and runs it once; Linux only."""
    command = [sys.executable, "-c", PEAK, str(contestant.path), contestant.code, str(round(seconds * RATE))]
    done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1024


def processor() -> str:
    """What this machine calls its processor."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", info.read_text(), re.MULTILINE) if info.is_file() else []
    return names[0] if names else platform.processor()
