"""What a network costs as C, and how near it comes.

`python -m wav2small_training.benchmarks.c_source CHECKPOINT FOLDER`: the folder holds recordings; some round the
weights for 8 and 4 bits, all are predicted. Needs gcc, and arm-none-eabi-gcc for the bytes on a chip.
"""

import ctypes
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from transformers import PreTrainedModel

from wav2small.checkpoint import load_checkpoint
from wav2small.cli.command import run_command
from wav2small.hub import resolve_checkpoint
from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.models.audio import audio_files, read_audio

from ..exporters.c.codes import round_for_speech
from ..exporters.c.generate import SOURCE, generate
from ..exporters.export import calibration_clips
from ..metrics import ccc
from ..tables import grid

CHIP = ("-O2", "-mthumb", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
REPEATS = 30  # of a clip of 5 s; the quickest counts, as CPU time
SIZES = """#include "wav2small.h"
#include <stdio.h>
int main(void) { printf("%zu %zu", sizeof(wav2small_net), sizeof(wav2small_running)); }
"""


def compile_library(folder: Path, bits: int) -> Path:
    """Compile the `wav2small.c` of a folder for this machine, with weights of so many bits, as a shared library."""
    library = folder / f"{bits}.so"
    flags = ("-std=c99", "-O3", "-march=native", f"-DWAV2SMALL_BITS={bits}", "-shared", "-fPIC", "-s")
    subprocess.run(["gcc", *flags, str(folder / SOURCE), "-o", str(library), "-lm"], check=True)
    return library


class CompiledModel:
    """A `wav2small.c` as a shared library."""

    def __init__(self, library: Path):
        self.functions = ctypes.CDLL(str(library))
        self.memory = ctypes.create_string_buffer(1_000_000)
        self.outputs = (ctypes.c_float * 4)()

    def clip(self, samples: np.ndarray) -> np.ndarray:
        """Arousal, dominance and valence of a clip, (3,)."""
        address, count = samples.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(samples))
        self.functions.wav2small_predict_f32(self.memory, address, count, self.outputs)
        return np.array(self.outputs[: len(LABELS)])

    def stream(self, samples: np.ndarray) -> np.ndarray:
        """The same of a stream that has the level of its last seconds."""
        address, count = samples.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(samples))
        self.functions.wav2small_running_reset(self.memory)
        self.functions.wav2small_running_push_f32(self.memory, address, count)
        self.functions.wav2small_running_predict(self.memory, self.outputs)
        return np.array(self.outputs[: len(LABELS)])

    def milliseconds(self) -> float:
        """CPU time of a clip of 5 s."""
        samples, best = np.random.default_rng(0).normal(0, 0.1, 5 * SAMPLING_RATE).astype(np.float32), np.inf
        for _ in range(REPEATS):
            start = time.process_time()
            self.clip(samples)
            best = min(best, time.process_time() - start)
        return 1000 * best


def state_bytes(folder: Path) -> tuple[int, int]:
    """Bytes of a `wav2small_net` and of a `wav2small_running`."""
    (folder / "sizes.c").write_text(SIZES, encoding="utf-8")
    subprocess.run(["gcc", str(folder / "sizes.c"), "-o", str(folder / "sizes")], check=True)
    net, running = subprocess.run([folder / "sizes"], capture_output=True, text=True, check=True).stdout.split()
    return int(net), int(running)


def chip_bytes(folder: Path, bits: int) -> int | None:
    """Bytes of code and constants on a Cortex-M4F."""
    if shutil.which("arm-none-eabi-gcc") is None:
        return None
    out = folder / f"{bits}.o"
    compiler = [
        "arm-none-eabi-gcc",
        "-std=c99",
        *CHIP,
        f"-DWAV2SMALL_BITS={bits}",
        "-c",
        str(folder / SOURCE),
        "-o",
        str(out),
    ]
    subprocess.run(compiler, check=True)
    printed = subprocess.run(["arm-none-eabi-size", str(out)], capture_output=True, text=True, check=True).stdout
    return int(printed.splitlines()[1].split()[0])


def measure(model: PreTrainedModel, name: str, files: list[Path]) -> str:
    """A table of all numbers of bits."""
    clips = [read_audio(file) for file in files]
    with torch.inference_mode():
        expected = np.stack([model(torch.from_numpy(clip)[None]).logits[0].numpy() for clip in clips])
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for file, text in generate(model, name, "", round_for_speech(model, calibration_clips(files))).items():
            (folder / file).write_text(text, encoding="utf-8")
        net, running = state_bytes(folder)
        for bits in (32, 8, 4):
            compiled = CompiledModel(compile_library(folder, bits))
            got = np.stack([compiled.clip(clip) for clip in clips])
            streamed = np.stack([compiled.stream(clip) for clip in clips])
            agreement = ", ".join(f"{each:.3f}" for each in ccc(streamed, got))
            difference = float(np.abs(got - expected).max())
            flash = chip_bytes(folder, bits)
            rows.append([f"{bits}", f"{flash:,}" if flash else "", f"{net:,}", f"{running:,}",
                         f"{compiled.milliseconds():.1f}", f"{difference:.1e}", agreement])  # fmt: skip
    heads = ["bits", "bytes on a Cortex-M4F", "state of a clip", "state of a stream", "ms for 5 s",
             "largest difference to torch", "CCC of stream and clip (A, D, V)"]  # fmt: skip
    return grid(heads, rows)


def main(
    checkpoint: Annotated[str, typer.Argument(help="A student.")],
    folder: Annotated[Path, typer.Argument(exists=True, help="Recordings of speech.")],
) -> None:
    """Print the table, in Markdown."""
    torch.set_num_threads(1)
    typer.echo(measure(load_checkpoint(resolve_checkpoint(checkpoint, ["*"])), checkpoint, audio_files(folder)))


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
