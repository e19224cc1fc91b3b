"""What 5 s of audio cost on one thread in the runtimes of phones and small boards, beside ONNX Runtime.

    python -m wav2small_training.benchmarks.devices [CHECKPOINT...]

For the environment of `make test-devices`; a runtime that is not installed is left out. ExecuTorch's Python package
imports torch: its peak memory is that of torch.
"""

import importlib.util
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from wav2small.bundled import bundled_checkpoints
from wav2small.inference.predictor import ONNX_FILES

from ..exporters.device import Runtime, export_device
from ..exporters.device_runtimes import LOADERS
from .latency import table
from .race import Contestant
from .runtimes import load_onnx

PACKAGES: dict[Runtime, str] = {"executorch": "executorch", "litert": "litert_torch"}  # what writes the files


def of_checkpoint(folder: Path, work: Path) -> list[Contestant]:
    """The files of a checkpoint for each runtime that is installed.

    Args:
        folder: of the checkpoint.
        work: folder for the files.
    """
    found, name = [], folder.resolve().name
    onnx = folder / ONNX_FILES["fp32"]
    if onnx.is_file():
        found.append(Contestant(f"{name}: {onnx.name}", load_onnx, onnx))
    for runtime, package in PACKAGES.items():
        if importlib.util.find_spec(package):
            out = work / f"{name}-{runtime}"
            export_device(str(folder), out, runtime)
            files = sorted(out.glob("model*"))
            found += [Contestant(f"{name}: {file.name}", LOADERS[runtime], file) for file in files]
    return found


def main(
    checkpoints: Annotated[list[Path] | None, typer.Argument(exists=True, help="Default: the bundled ones.")] = None,
) -> None:
    """Print the table, in Markdown."""
    with tempfile.TemporaryDirectory() as work:
        folders = checkpoints or list(bundled_checkpoints().values())
        typer.echo(table([one for each in folders for one in of_checkpoint(each, Path(work))]))


if __name__ == "__main__":
    typer.run(main)
