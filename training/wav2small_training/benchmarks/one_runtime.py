"""What one runtime costs and predicts, in a process of its own; `every_runtime` starts it.

python -m wav2small_training.benchmarks.one_runtime MODULE:FUNCTION PATH WINDOWS.npy
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np

WARM_UP, RUNS = 3, 30


def memory(name: str) -> float:
    """A line of this process's status, such as `VmRSS`, in MB; Linux only."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(name))) / 1024


def main(function: str, path: str, windows: str) -> None:
    """Print JSON: `ms`, the least CPU time of a window; `mb`, memory that loading and running added; `logits`."""
    clips = np.load(windows)  # (clips, samples)
    before = memory("VmRSS")
    module, _, name = function.partition(":")
    run = getattr(import_module(module), name)(Path(path))
    times = []
    for _ in range(WARM_UP + RUNS):
        start = time.process_time()
        run(clips[:1])
        times.append(time.process_time() - start)
    peak = memory("VmHWM")
    logits = [np.asarray(run(clip[None]))[0, :3].tolist() for clip in clips]
    json.dump({"ms": 1000 * min(times[WARM_UP:]), "mb": peak - before, "logits": logits}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
