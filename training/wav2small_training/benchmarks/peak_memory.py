"""Peak memory of one contestant, in a process of its own; `race.peak_memory` starts it.

python -m wav2small_training.benchmarks.peak_memory MODULE:FUNCTION PATH SAMPLES
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np


def main(function: str, path: str, samples: str) -> None:
    """Load, run once on noise, and print the peak resident memory of this process in KB."""
    module, _, name = function.partition(":")
    run = getattr(import_module(module), name)(Path(path) if path else None)
    run(np.random.default_rng(0).normal(0, 0.1, (1, int(samples))).astype(np.float32))
    with Path("/proc/self/status").open(encoding="ascii") as status:
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    sys.stdout.write(f"{peak}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
