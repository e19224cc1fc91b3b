"""`wav2small models`: teacher and students side by side: size, cost, speed, memory, licence."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, PreTrainedModel

from wav2small.inference.predictor import BUNDLED, ONNX_FILES
from wav2small.models.auto import CLASSES, AdvTeacherForAudioClassification
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import link_model

from .presets import PRESETS
from .race import TORCH, Contestant, peak_memory, processor, race

SECONDS = 5
RUNS = 7  # the teacher takes seconds


@dataclass(frozen=True)
class Entry:
    """One row.

    Attributes:
        name: of the model.
        values: parameters, with the constants of the front end.
        gmac: multiply-accumulates for 5 s, in 10^9.
        folder: with its weights.
        licence: of its weights; `None` for random ones.
    """

    name: str
    values: int
    gmac: float
    folder: Path
    licence: str | None

    def size(self, kind: str) -> str:
        """Bytes of one of its ONNX files, if it was exported."""
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
    return counter.get_total_flops() / 2e9


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
        try:
            model_class = CLASSES[AutoConfig.from_pretrained(folder).model_type]
        except (OSError, ValueError, KeyError):
            raise Wav2SmallError(f"{folder} is no checkpoint of a model of ours") from None
        model = model_class.from_pretrained(folder).eval()
        licence = link_model(str(folder), "parent").licence
        name = "the bundled checkpoint" if folder == BUNDLED else folder.name
        yield Entry(name, count_values(model), count_gmac(model), folder, licence or "unknown")


def main(checkpoints: list[Path] | None = None) -> None:
    """Print the table for the paper's models and for checkpoints; default: the bundled one."""
    console = Console()
    columns = ("", "values", "GMAC", "ONNX (KB)", "8 bit (KB)", "torch (ms)", "peak memory (MB)", "licence of weights")
    table = Table(*columns, title=f"{SECONDS} s of audio, one thread, {processor()}")
    with tempfile.TemporaryDirectory() as temporary, console.status("measuring"):
        rows = list(entries(checkpoints or [BUNDLED], Path(temporary)))
        contestants = {row.name: Contestant(row.name, TORCH, row.folder / "model.safetensors") for row in rows}
        times = race(contestants.values(), RUNS, SECONDS)
        for row in rows:
            table.add_row(
                row.name,
                f"{row.values:,}",
                f"{row.gmac:.3f}",
                row.size("fp32"),
                row.size("q8"),
                f"{times[row.name]:.1f}",
                f"{peak_memory(contestants[row.name], SECONDS):.0f}",
                row.licence or "random weights",
            )
    console.print(table)
