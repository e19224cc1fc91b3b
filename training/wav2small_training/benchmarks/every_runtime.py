"""One checkpoint in every runtime: bytes, memory, time for 5 s of audio on one thread, difference to torch.

    python -m wav2small_training.benchmarks.every_runtime [CHECKPOINT [FOLDER]]

The checkpoint is one with ONNX files, by default the bundled one; windows of 5 s of the recordings in the folder, by
default the examples, are predicted. Needs gcc for C, clang, lld and node for WebAssembly, and for ExecuTorch and LiteRT
the environment of `make test-devices`. What is missing is left out.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from wav2small.bundled import BUNDLED
from wav2small.cli.command import run_command
from wav2small.hub import resolve_checkpoint
from wav2small.inference.predictor import ONNX_FILES
from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.audio import audio_files, read_audio
from wav2small.shipped import shipped_folder

from ..exporters.c.generate import SOURCE, export_c
from ..exporters.device import Runtime, export_device
from ..exporters.device_runtimes import LOADERS
from ..tables import grid
from . import runtimes
from .c_source import compile_library
from .race import ONE_THREAD, SECONDS, processor

CLIPS = 20
ONE = "wav2small_training.benchmarks.one_runtime"
BITS = {32: "float", 8: "8 bits", 4: "4 bits"}
DEVICES: dict[Runtime, tuple[str, str]] = {  # name, and the package that writes the files
    "executorch": ("ExecuTorch", "executorch"),
    "litert": ("LiteRT", "litert_torch"),
}


@dataclass(frozen=True)
class Row:
    """One file in one runtime.

    Attributes:
        name: in the table.
        bytes: of what is shipped.
        cost: what `one_runtime` prints.
    """

    name: str
    bytes: int
    cost: dict[str, Any]


def run_python(load: Callable[..., Any], file: Path, windows: Path) -> dict[str, Any]:
    """Measure a loader, of `runtimes` or `device_runtimes`, in a process of its own."""
    return printed(sys.executable, "-m", ONE, f"{load.__module__}:{load.__name__}", file, windows)


def run_node(file: Path, windows: Path) -> dict[str, Any]:
    """Measure WebAssembly under Node."""
    floats = np.load(windows)
    raw = windows.with_suffix(".f32")
    floats.tofile(raw)
    script = Path(__file__).with_name("one_runtime.mjs")
    return printed("node", script, shipped_folder("web").resolve(), file, raw, floats.shape[1])


def printed(*command: object) -> dict[str, Any]:
    """The JSON in the last line that a command prints."""
    environment = {**os.environ, **ONE_THREAD}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows(checkpoint: str, windows: Path, work: Path) -> Iterator[Row]:
    """Measure a checkpoint in every runtime that is here; torch comes first.

    Args:
        checkpoint: a folder, the name of a bundled one, or an id on the Hub.
        windows: `.npy` of float32 (clips, 80000).
        work: folder for what is made on the way.
    """
    folder = resolve_checkpoint(checkpoint, ["*"])
    files: tuple[tuple[str, Callable[..., Any], str], ...] = (
        ("torch", runtimes.load_torch, "model.safetensors"),
        ("ONNX Runtime, float", runtimes.load_onnx, ONNX_FILES["fp32"]),
        ("ONNX Runtime, 8 bits", runtimes.load_onnx, ONNX_FILES["q8"]),
        ("ONNX Runtime, 4 bits", runtimes.load_onnx, ONNX_FILES["q4"]),
    )
    for name, loader, file in files:
        path = (folder / file).resolve()
        yield Row(name, path.stat().st_size, run_python(loader, path, windows))
    source = work / "c"
    export_c(str(folder), source)
    for bits in BITS if shutil.which("gcc") else ():
        library = compile_library(source, bits)
        yield Row(f"C, {BITS[bits]}", library.stat().st_size, run_python(runtimes.load_c, library, windows))
    for bits in (8, 4) if all(map(shutil.which, ("clang", "wasm-ld", "node"))) else ():
        module = compile_module(source, bits)
        yield Row(f"WebAssembly under Node, {BITS[bits]}", module.stat().st_size, run_node(module, windows))
    yield from device_rows(folder, windows, work)


def compile_module(folder: Path, bits: int) -> Path:
    """Compile the `wav2small.c` of a folder as WebAssembly with vector instructions, as `make web` does."""
    web, module = shipped_folder("web"), folder / f"{bits}.wasm"
    options = (f"@{web / 'clang.txt'}", "-msimd128", f"-DWAV2SMALL_BITS={bits}", f"-I{web / 'include'}", f"-I{folder}")
    subprocess.run(["clang", *options, web / "wav2small_web.c", folder / SOURCE, "-o", module], check=True)
    return module


def device_rows(folder: Path, windows: Path, work: Path) -> Iterator[Row]:
    """Measure a checkpoint in ExecuTorch and LiteRT, where they are installed; arguments as for [`rows`]."""
    for runtime, (name, package) in DEVICES.items():
        if importlib.util.find_spec(package):
            export_device(str(folder), work / runtime, runtime)
            for file in sorted((work / runtime).glob("model*")):
                kind = BITS[8 if "quantized" in file.name else 32]
                yield Row(f"{name}, {kind}", file.stat().st_size, run_python(LOADERS[runtime], file, windows))


def table(checkpoint: str, found: list[Row], clips: int) -> str:
    """A Markdown table; differences are to the first row."""
    expected = np.array(found[0].cost["logits"])
    lines = []
    for row in found:
        difference = np.abs(np.array(row.cost["logits"]) - expected).max()
        exact = "" if row is found[0] else f"{difference:.0e}"
        lines.append([row.name, f"{row.bytes:,}", f"{row.cost['mb']:.1f}", f"{row.cost['ms']:.1f}", exact])
    note = (
        f"`{Path(checkpoint).name}`, 5 s of audio on one thread, {date.today()}, {processor()}. Memory is what loading "
        f"and running add to a process of Python with numpy, or the memory of the WebAssembly module. Time is the "
        f"least CPU time of 30 runs. The largest difference to torch is over {clips} windows of recordings."
    )
    heads = ["", "bytes", "memory (MB)", "ms", "largest difference"]
    return f"{note}\n\n{grid(heads, lines, numeric=True)}"


def main(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint with ONNX files.")] = str(BUNDLED),
    folder: Annotated[Path, typer.Argument(exists=True, help="Recordings.")] = Path("examples"),
) -> None:
    """Print the table, in Markdown."""
    clips = [read_audio(file) for file in audio_files(folder)]
    spoken = [clip for clip in clips if np.ptp(clip) > 0][:CLIPS]
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        np.save(work / "windows.npy", [np.resize(clip, round(SECONDS * SAMPLING_RATE)) for clip in spoken])
        found = list(rows(checkpoint, work / "windows.npy", work))
    typer.echo(table(checkpoint, found, len(spoken)))


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
