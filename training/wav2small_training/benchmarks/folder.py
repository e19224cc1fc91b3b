"""`make bench`: time and memory of a folder of recordings, by the command line and through torch, side by side.

    python -m wav2small_training.benchmarks.folder FOLDER

Each row is a process of its own, since peak memory is that of a process; the fastest of three runs counts. Linux counts
what the process that starts another has in memory to its peak: nothing large is imported here.
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

from wav2small.bundled import BUNDLED
from wav2small.cli.command import run_command
from wav2small.models.audio import audio_files


def measure_command(command: list[str], runs: int) -> tuple[float, float]:
    """Run a command to its end: seconds (of the fastest run) and peak resident memory in MB (of the largest).

    Raises:
        RuntimeError: if it fails.
    """
    seconds, peaks = [], []
    for _ in range(runs):
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - start)
        peaks.append(usage.ru_maxrss / 1024)
        if status:
            raise RuntimeError(f"{command} failed")
    return min(seconds), max(peaks)


def main(
    folder: Annotated[Path, typer.Argument(exists=True, help="Folder of recordings.")],
    runs: Annotated[int, typer.Option(min=1, help="Of each row.")] = 3,
) -> None:
    """Print the table for FOLDER."""
    files = audio_files(folder)
    predict = [str(Path(sys.executable).with_name("wav2small")), "predict", str(folder), "--format", "csv"]
    through_torch = [sys.executable, "-m", "wav2small_training.benchmarks.predict_torch", str(BUNDLED), str(folder)]
    cores = os.cpu_count() or 1
    rows = {
        "wav2small predict, 1 thread": [*predict, "--threads", "1"],
        f"wav2small predict, {cores} threads": [*predict, "--threads", str(cores)],
        "torch, 1 thread": [*through_torch, "1"],
        f"torch, {cores} threads": [*through_torch, str(cores)],
    }
    table = Table("", "time (s)", "files per s", "peak memory (MB)")
    for name, command in rows.items():
        seconds, peak = measure_command(command, runs)
        table.add_row(name, f"{seconds:.2f}", f"{len(files) / seconds:.0f}", f"{peak:.0f}")
    console = Console()
    console.print(f"{len(files)} files of {folder}, {date.today()}, {platform.machine()}, {cores} cores")
    console.print(table)


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
