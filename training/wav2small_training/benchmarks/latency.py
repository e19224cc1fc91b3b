"""What 5 s of audio cost on one thread: time, memory and bytes, of our files, of torch, and of others for comparison.

    python -m wav2small_training.benchmarks.latency [CHECKPOINT...]

Times are medians of runs that take turns in one process, so that whatever else the machine does meets all alike. Peak
memory is that of a process of its own, interpreter and libraries included.
"""

import importlib.util
import tempfile
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from wav2small.inference.predictor import BUNDLED
from wav2small.models.auto import CLASSES

from ..exporters import FOLDED_ALONE
from .presets import PRESETS
from .race import NOTHING, ONNX, OPENSMILE, SECONDS, TORCH, Contestant, peak_memory, processor, race


def of_checkpoint(folder: Path, work: Path) -> list[Contestant]:
    """A checkpoint through torch, as straightforward ONNX, and as each of its ONNX files.

    Args:
        folder: of the checkpoint.
        work: folder for the straightforward export, which needs the extra `export`.
    """
    found = []
    name = folder.resolve().name
    weights = folder / "model.safetensors"
    if weights.is_file():
        found.append(Contestant(f"{name}: torch", TORCH, weights))
    if weights.is_file() and importlib.util.find_spec("optimum"):
        from ..exporters.export import StraightOnnxConfig, export_onnx, load_exportable

        model, path = load_exportable(folder), work / f"{name}.onnx"
        if model.config.model_type != FOLDED_ALONE:
            export_onnx(model, path, StraightOnnxConfig)
            found.append(Contestant(f"{name}: ONNX, straightforward", ONNX, path))
    for file in sorted((folder / "onnx").glob("*.onnx"), key=lambda file: -file.stat().st_size):
        found.append(Contestant(f"{name}: {file.name}", ONNX, file))
    return found


def untrained_students(work: Path) -> list[Contestant]:
    """The other students of the paper with random weights, which change neither bytes nor time.

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


def bench(
    checkpoints: Annotated[list[Path] | None, typer.Argument(exists=True, help="Default: the bundled one.")] = None,
) -> None:
    """Print the table, in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        contestants = [one for each in checkpoints or [BUNDLED] for one in of_checkpoint(each, work)]
        if importlib.util.find_spec("optimum"):
            contestants += untrained_students(work)
        if importlib.util.find_spec("opensmile"):
            contestants.append(Contestant("openSMILE: eGeMAPSv02", OPENSMILE))
        typer.echo(table(contestants))


def table(contestants: list[Contestant]) -> str:
    """Race all, measure the memory of each, and lay it out in Markdown."""
    times = race(contestants)
    idle = peak_memory(Contestant("", NOTHING))
    lines = [
        f"{SECONDS:.0f} s of audio, one thread, {date.today()}, {processor()}. Peak memory is that of the process; one "
        f"that only imports numpy and ONNX Runtime takes {idle:.0f} MB.",
        "",
        "| | bytes | ms | times real time | peak memory (MB) |",
        "|---|--:|--:|--:|--:|",
    ]
    for one in contestants:
        size = f"{one.bytes:,}" if one.bytes else ""
        speed = 1000 * SECONDS / times[one.name]
        lines.append(f"| {one.name} | {size} | {times[one.name]:.1f} | {speed:.0f} | {peak_memory(one):.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(bench)
