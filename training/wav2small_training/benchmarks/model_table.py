"""Size, cost, speed, memory and licence of the known networks and of checkpoints, through torch.

python -m wav2small_training.benchmarks.model_table [CHECKPOINT...]
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from wav2small.bundled import BUNDLED
from wav2small.checkpoint import load_checkpoint
from wav2small.cli.command import run_command
from wav2small.inference.predictor import ONNX_FILES
from wav2small.models.auto import CLASSES, AdvTeacherForAudioClassification
from wav2small.provenance.provenance import link_model

from .presets import PRESETS
from .race import Contestant, measure, processor
from .runtimes import load_torch

SECONDS = 5
RUNS = 7  # the teacher takes seconds


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    Attributes:
        name: of the model.
        values: parameters, with the constants of the front end.
        gmac: multiply-accumulates for 5 s, in 10^9.
        folder: of the checkpoint.
        licence: of its weights; `None` for random ones.
    """

    name: str
    values: int
    gmac: float
    folder: Path
    licence: str | None

    def size(self, kind: str) -> str:
        """KB of one of its ONNX files, or a dash."""
        file = self.folder / ONNX_FILES[kind]
        return f"{file.stat().st_size / 1000:,.0f}" if file.is_file() else "-"


def count_values(model: PreTrainedModel) -> int:
    """Count parameters and stored front-end constants, as in the paper: no running statistics of batch norm."""
    constants = [value for name, value in model.state_dict().items() if name.endswith("log_mel.mel")]
    return sum(tensor.numel() for tensor in [*model.parameters(), *constants])


def count_gmac(model: PreTrainedModel) -> float:
    """Count the multiply-accumulates for 5 s of audio, in 10^9."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, SECONDS * model.config.sampling_rate))
    return float(counter.get_total_flops() / 2e9)


def entries(checkpoints: list[Path], work: Path) -> Iterator[Entry]:
    """Yield the presets, with random weights (time and memory do not depend on them), then checkpoints."""
    for name, config in PRESETS.items():
        model = CLASSES[config.model_type](config).eval()
        folder = work / name.replace(" ", "_").replace(",", "")
        model.save_pretrained(folder)
        licence = None
        if isinstance(model, AdvTeacherForAudioClassification):
            licence = " and ".join(member["licence"] for member in config.members)
        yield Entry(name, count_values(model), count_gmac(model), folder, licence)
    for folder in checkpoints:
        model = load_checkpoint(folder)
        licence = link_model(str(folder), "parent").licence
        yield Entry(folder.name, count_values(model), count_gmac(model), folder, licence or "unknown")


def main(
    checkpoints: Annotated[list[Path] | None, typer.Argument(help="Default: the default bundled one.")] = None,
) -> None:
    """Print the table for the known networks and for checkpoints; default: the bundled one."""
    console = Console()
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("model", overflow="fold", min_width=14)
    for header in ("values", "GMAC", "ONNX\nKB", "8 bit\nKB", "torch\nms", "peak\nMB"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("licence of\nthe weights", overflow="fold")
    with tempfile.TemporaryDirectory() as temporary, console.status("measuring"):
        rows = list(entries(checkpoints or [BUNDLED], Path(temporary)))
        contestants = [Contestant(row.name, load_torch, row.folder / "model.safetensors") for row in rows]
        costs = measure(contestants, RUNS, SECONDS)
        for row in rows:
            cost = costs[row.name]
            table.add_row(
                row.name,
                f"{row.values:,}",
                f"{row.gmac:.3f}",
                row.size("fp32"),
                row.size("q8"),
                f"{cost.ms:,.1f}" if cost.ms < 100 else f"{cost.ms:,.0f}",
                f"{cost.peak_mb:,.0f}",
                row.licence or "random weights",
            )
    console.print(table)
    console.print(
        f"{SECONDS} s of audio, one thread, {processor()}. torch ms: median time through torch; peak MB: peak "
        "memory of that process; -: no such file."
    )


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
