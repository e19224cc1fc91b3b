"""The state of a training run, and how it is saved as a whole."""

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torchdata.stateful_dataloader import StatefulDataLoader

from wav2small.atomic import replace_folder


@dataclass
class LoopState:
    """What a resumed run must know besides weights, optimizer and data position.

    Attributes:
        step: optimizer steps done.
        best: highest mean CCC to the targets on the validation clips so far.
        loss: running mean of the training loss.
        seconds: spent training, over all starts.
        skipped: bad items so far, on this process.
        history: one entry an evaluation.
    """

    step: int = 0
    best: float = float("-inf")
    loss: float | None = None
    seconds: float = 0.0
    skipped: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    def advance(self, loss: float, skipped: int) -> None:
        """Count one step."""
        self.step += 1
        self.loss = loss if self.loss is None else 0.98 * self.loss + 0.02 * loss
        self.skipped += skipped

    def state_dict(self) -> dict[str, Any]:
        """All values, for accelerate's checkpoints."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take all values from a checkpoint."""
        for name, value in state.items():
            setattr(self, name, value)


def save(accelerator: Accelerator, loader: StatefulDataLoader, folder: Path) -> None:
    """Write all that accelerate knows, and the loader's position of each process; a kill leaves the old state."""
    new = folder.with_name(f"{folder.name}.new")
    if accelerator.is_main_process:
        shutil.rmtree(new, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(new))
    torch.save(loader.state_dict(), new / f"loader_{accelerator.process_index}.pt")
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        replace_folder(new, folder)
    accelerator.wait_for_everyone()


def restore(accelerator: Accelerator, loader: StatefulDataLoader, folder: Path) -> None:
    """Go on from what [`save`] wrote."""
    accelerator.load_state(str(folder))
    position = folder / f"loader_{accelerator.process_index}.pt"
    loader.load_state_dict(torch.load(position, weights_only=False))  # written by [`save`]; holds numpy's numbers


def find(folder: Path) -> Path | None:
    """Find the last state that was written whole."""
    for candidate in (folder, folder.with_name(f"{folder.name}.old")):
        if candidate.is_dir():
            return candidate
    return None
