"""The teacher's answers: for the batches of the training, and for held-out clips."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from wav2small.auto import CLASSES, AdvTeacherForAudioClassification
from wav2small.convert_teacher import read_config
from wav2small.errors import Wav2SmallError

from .answers import Answers
from .corpora import RATE, open_rows, row_id, waveform
from .metrics import ccc
from .mixture import collate
from .recipe import Recipe


class Targets:
    """Answers for a batch: computed from its audio by the teacher, or read where the clips were annotated before."""

    def __init__(self, recipe: Recipe, accelerator: Accelerator):
        self.accelerator = accelerator
        self.lookup = Answers(Path(recipe.annotations)) if recipe.annotations else None
        self.teacher = load_teacher(recipe.teacher, accelerator.device) if recipe.teacher else None

    @torch.no_grad()
    def __call__(self, batch: dict[str, Any]) -> torch.Tensor:
        """Give (batch, 3): arousal, dominance, valence, not clipped."""
        if self.teacher is None:
            return batch["target"]
        with self.accelerator.autocast():
            return self.teacher(batch["input_values"], batch["attention_mask"]).logits.float()


def load_teacher(source: str | list[str], device: torch.device) -> torch.nn.Module:
    """Load a model of ours, or published teachers in their own layouts: in evaluation, without gradients.

    Raises:
        Wav2SmallError: if it cannot be found or read, or its weights do not fit.
    """
    sources = [source] if isinstance(source, str) else source
    kinds = [read_config(one, None)[0].get("model_type") for one in sources]
    if len(sources) == 1 and kinds[0] in CLASSES:
        try:
            teacher = CLASSES[kinds[0]].from_pretrained(sources[0])
        except (OSError, ValueError) as error:
            raise Wav2SmallError(f"the teacher {sources[0]} cannot be loaded: {str(error).splitlines()[0]}") from None
    else:
        teacher = AdvTeacherForAudioClassification.from_members(sources)
    return teacher.eval().requires_grad_(False).to(device)


class HeldOut:
    """The clips of a recipe's evaluation with the teacher's answers; made once, kept in memory."""

    def __init__(self, recipe: Recipe, targets: Targets):
        crop, device = round(recipe.crop_seconds * RATE), targets.accelerator.device
        share = -(-recipe.evaluation.clips // len(recipe.evaluation.corpora))
        clips = []
        for corpus in recipe.evaluation.corpora:
            for row in open_rows(corpus).take(share):
                name, start, target = row_id(row, corpus), 0, None
                if targets.lookup:
                    windows = targets.lookup(corpus.source, name)
                    if not windows:
                        raise Wav2SmallError(f"{name} of {corpus.source} has no annotation: annotate it too")
                    start, target = round(windows[0][0] * RATE), windows[0][1]
                piece = waveform(row, corpus)[start : start + crop]
                clips.append({"input_values": piece, "id": name, "target": target, "skipped": 0})
        if not clips:
            raise Wav2SmallError("the evaluation has no clips: see evaluation.corpora of the recipe")
        self.batches = [to_device(collate(clips[i : i + 32], crop), device) for i in range(0, len(clips), 32)]
        self.answers = torch.cat([targets(batch) for batch in self.batches]).cpu().numpy()

    @torch.inference_mode()
    def score(self, student: torch.nn.Module) -> list[float]:
        """CCC of a student to the teacher (A, D, V)."""
        student.eval()
        inputs = [(batch["input_values"], batch["attention_mask"]) for batch in self.batches]
        answers = torch.cat([student(*pair).logits.float() for pair in inputs]).cpu().numpy()
        return [round(float(value), 4) for value in np.atleast_1d(ccc(answers, self.answers))]


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Move the tensors of a batch."""
    return {key: value.to(device) if torch.is_tensor(value) else value for key, value in batch.items()}
