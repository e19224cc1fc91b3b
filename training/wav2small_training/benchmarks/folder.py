"""`make bench`: time and memory of a folder of recordings, by the command line and through torch, side by side.

    python -m wav2small_training.benchmarks.folder FOLDER

Each row is a process of its own, so that its peak memory is its own; the fastest of three runs counts.
"""

import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from wav2small.inference.predictor import BUNDLED
from wav2small.models.audio import audio_files

RUNS = 3

# the same files, decoded by the same code, through the torch model; one clip at a time as the command line does
THROUGH_TORCH = """
import sys
import torch
from wav2small import Wav2SmallForAudioClassification
from wav2small.models.audio import read_audio
from wav2small.models.audio import audio_files
torch.set_num_threads(int(sys.argv[3]))
model = Wav2SmallForAudioClassification.from_pretrained(sys.argv[1]).eval()
with torch.inference_mode():
    for file in audio_files(sys.argv[2]):
        model(torch.from_numpy(read_audio(file))[None]).logits.tolist()
"""


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command to its end: seconds (the fastest of three) and peak resident memory in MB (the largest).

    Raises:
        RuntimeError: if it fails.
    """
    seconds, peaks = [], []
    for _ in range(RUNS):
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - begin)
        peaks.append(usage.ru_maxrss / 1024)
        if status:
            raise RuntimeError(f"{command} failed")
    return min(seconds), max(peaks)


def bench(folder: Annotated[Path, typer.Argument(exists=True, help="Folder of recordings.")]) -> None:
    """Print the table for FOLDER."""
    files = audio_files(folder)
    predict = [str(Path(sys.executable).with_name("wav2small")), "predict", str(folder), "--format", "csv"]
    through_torch = [sys.executable, "-c", THROUGH_TORCH, str(BUNDLED), str(folder)]
    cores = os.cpu_count() or 1
    rows = {
        "wav2small predict, 1 thread": [*predict, "--threads", "1"],
        f"wav2small predict, {cores} threads": [*predict, "--threads", str(cores)],
        "torch, 1 thread": [*through_torch, "1"],
        f"torch, {cores} threads": [*through_torch, str(cores)],
    }
    table = Table("", "time (s)", "files per s", "peak memory (MB)")
    for name, command in rows.items():
        seconds, peak = measure(command)
        table.add_row(name, f"{seconds:.2f}", f"{len(files) / seconds:.0f}", f"{peak:.0f}")
    console = Console()
    console.print(f"{len(files)} files of {folder}, {date.today()}, {platform.machine()}, {cores} cores")
    console.print(table)


if __name__ == "__main__":
    typer.run(bench)
