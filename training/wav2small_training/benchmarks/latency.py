"""What 5 s of audio cost on one thread: time, memory and bytes, of our files, of torch, and of openSMILE.

    python -m wav2small_training.benchmarks.latency [CHECKPOINT...]

Times are medians of runs in turns. Peak memory is that of a process of its own, with interpreter and libraries.
"""

import importlib.util
import tempfile
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from wav2small.bundled import BUNDLED
from wav2small.checkpoint import load_checkpoint
from wav2small.cli.command import run_command
from wav2small.models.auto import CLASSES

from ..exporters import FOLDED_ALONE
from ..tables import grid
from .presets import PRESETS
from .race import SECONDS, Contestant, idle_memory, measure, processor
from .runtimes import load_onnx, load_opensmile, load_torch


def of_checkpoint(folder: Path, work: Path) -> list[Contestant]:
    """A checkpoint through torch, as untuned ONNX, and as each of its ONNX files.

    Args:
        folder: of the checkpoint.
        work: folder for the untuned export, which needs the extra `export`.
    """
    found = []
    name = folder.resolve().name
    weights = folder / "model.safetensors"
    if weights.is_file():
        found.append(Contestant(f"{name}: torch", load_torch, weights))
    if weights.is_file() and importlib.util.find_spec("onnx"):
        from ..exporters.export import export_straight

        model, path = load_checkpoint(folder), work / f"{name}.onnx"
        if model.config.model_type != FOLDED_ALONE:
            export_straight(model, path)
            found.append(Contestant(f"{name}: ONNX, untuned", load_onnx, path))
    for file in sorted((folder / "onnx").glob("*.onnx"), key=lambda file: -file.stat().st_size):
        found.append(Contestant(f"{name}: {file.name}", load_onnx, file))
    return found


def untrained_students(work: Path) -> list[Contestant]:
    """The other students with random weights, which change neither bytes nor time.

    Args:
        work: folder for their checkpoints; their ONNX files need the extra `export`.
    """
    from ..exporters.export import write_files

    found = []
    for name, config in PRESETS.items():
        if config.model_type != "adv_teacher" and name != "Wav2Small":
            folder = work / name
            model = CLASSES[config.model_type](config).eval()
            model.save_pretrained(folder)
            write_files(model, folder, [])
            found += of_checkpoint(folder, work)
    return found


def table(contestants: list[Contestant]) -> str:
    """Measure contestants, and lay out a Markdown table."""
    rows = []
    for name, cost in measure(contestants).items():
        size = f"{cost.bytes:,}" if cost.bytes else ""
        rows.append([name, size, f"{cost.ms:.1f}", f"{1000 * SECONDS / cost.ms:.0f}", f"{cost.peak_mb:.0f}"])
    note = (
        f"{SECONDS:.0f} s of audio, one thread, {date.today()}, {processor()}. Peak memory is that of the process; a "
        f"process that only imports numpy and ONNX Runtime needs {idle_memory():.0f} MB."
    )
    return f"{note}\n\n{grid(['', 'bytes', 'ms', 'times real time', 'peak memory (MB)'], rows, numeric=True)}"


def main(
    checkpoints: Annotated[list[Path] | None, typer.Argument(exists=True, help="Default: the bundled one.")] = None,
) -> None:
    """Print the table, in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        contestants = [one for each in checkpoints or [BUNDLED] for one in of_checkpoint(each, work)]
        if importlib.util.find_spec("onnx"):
            contestants += untrained_students(work)
        if importlib.util.find_spec("opensmile"):
            contestants.append(Contestant("openSMILE: eGeMAPSv02", load_opensmile))
        typer.echo(table(contestants))


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
