"""The state of a training run, and how it is saved as a whole."""

import json
import pickle
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from wav2small.atomic import replace_folder
from wav2small.models.errors import Wav2SmallError

from ..data.batches import MixedBatches
from ..data.rendered import RenderedClips


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


def save(accelerator: Accelerator, loader: MixedBatches | RenderedClips, parts: Sequence[Any], folder: Path) -> None:
    """Write what accelerate knows, the loader's position of each process, and parts; a kill leaves the old state.

    Args:
        accelerator: with the student and its optimizer.
        loader: of the training clips.
        parts: what else has a state: a `state_dict` of tensors and plain values.
        folder: which is replaced as a whole.
    """
    new = folder.with_name(f"{folder.name}.new")
    if accelerator.is_main_process:
        shutil.rmtree(new, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(new))
    position = json.dumps(loader.state_dict(), default=int)  # of numpy's numbers
    (new / f"loader_{accelerator.process_index}.json").write_text(position, encoding="utf-8")
    if accelerator.is_main_process:
        torch.save([part.state_dict() for part in parts], new / "parts.pt")
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        replace_folder(new, folder)
    accelerator.wait_for_everyone()


def restore(accelerator: Accelerator, loader: MixedBatches | RenderedClips, parts: Sequence[Any], folder: Path) -> None:
    """Go on from what [`save`] wrote. A state may come from somebody else: nothing in it is run.

    Raises:
        Wav2SmallError: if a file is missing or broken, holds code, or was written by an earlier version.
    """
    try:
        position = (folder / f"loader_{accelerator.process_index}.json").read_text(encoding="utf-8")
        states = torch.load(folder / "parts.pt", map_location="cpu", weights_only=True)
        accelerator.load_state(str(folder))
        if loader.fits(json.loads(position)):
            loader.load_state_dict(json.loads(position))
        else:
            everywhere = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("loader_*.json"))]
            loader.go_on_after([json.loads(text) for text in everywhere])
        for part, state in zip(parts, states, strict=True):
            part.load_state_dict(state)
    except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, TypeError, OSError, EOFError) as error:
        reason = str(error).split("\n")[0]
        raise Wav2SmallError(
            f"{folder} holds no state of this version that can be resumed ({reason}): remove it and start again"
        ) from None


def find(folder: Path) -> Path | None:
    """Find the last state that was written whole."""
    for candidate in (folder, folder.with_name(f"{folder.name}.old")):
        if candidate.is_dir():
            return candidate
    return None
