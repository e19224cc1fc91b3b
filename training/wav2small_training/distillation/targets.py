"""Targets of training batches and of validation clips: from a teacher, from teacher labels, or from own labels."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError

from ..data.corpora import row_id, waveform
from ..data.mixture import collate, own_target, pad_clips, random_rows
from ..metrics import ccc
from ..recipe import MixtureRecipe, Recipe
from ..teachers import load_teacher
from .teacher_labels import TeacherLabels

BATCH = 16  # clips in one forward pass of a teacher


class Targets:
    """Targets of a batch: predicted from its audio by the teacher, or read where its clips have them already."""

    def __init__(self, recipe: MixtureRecipe, accelerator: Accelerator):
        self.accelerator = accelerator
        self.teacher_labels = TeacherLabels(Path(recipe.teacher_labels)) if recipe.teacher_labels else None
        self.teacher = load_teacher(recipe.teacher, accelerator.device) if recipe.teacher else None

    @torch.no_grad()
    def __call__(self, batch: dict[str, Any]) -> torch.Tensor:
        """Give (batch, 3): arousal, dominance, valence, not clipped; NaN for clips without speech."""
        target: torch.Tensor = batch["target"]
        if self.teacher is None:
            return target
        with self.accelerator.autocast():
            values = batch.get("teacher_values", batch["input_values"])
            logits: torch.Tensor = self.teacher(values, batch["attention_mask"]).logits
        return logits.float().masked_fill(~batch["is_speech"][:, None], torch.nan)


@torch.inference_mode()
def label_clips(
    teacher: torch.nn.Module, clips: list[np.ndarray], accelerator: Accelerator
) -> tuple[np.ndarray, np.ndarray]:
    """Run a teacher on clips, those of similar length together, so that little is padded.

    Args:
        teacher: as from [`load_teacher`].
        clips: each (samples,), of any length.
        accelerator: of the run; its precision is used.

    Returns:
        (clips, 3) predictions, and (clips, members, 3) those of each member; both in the order of the clips.
    """
    by_length = sorted(range(len(clips)), key=lambda i: len(clips[i]))
    found: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for first in range(0, len(clips), BATCH):
        chosen = by_length[first : first + BATCH]
        values, mask = pad_clips([clips[i] for i in chosen], len(clips[chosen[-1]]))
        batch = to_device({"values": values, "mask": mask}, accelerator.device)
        with accelerator.autocast():
            output = teacher(batch["values"], batch["mask"])
        members = getattr(output, "member_logits", output.logits[:, None])
        found |= zip(chosen, zip(output.logits.float().cpu(), members.float().cpu(), strict=True), strict=True)
    logits, member_logits = zip(*(found[i] for i in range(len(clips))), strict=True)
    return torch.stack(logits).numpy(), torch.stack(member_logits).numpy()


class ValidationSet:
    """The validation clips of a recipe, drawn at random by its seed, with their targets; made once, kept in memory."""

    def __init__(self, recipe: Recipe, targets: Targets):
        crop, device = round(recipe.crop_range[1] * SAMPLING_RATE), targets.accelerator.device
        share = -(-recipe.validation.clips // len(recipe.validation.corpora))
        clips: list[dict[str, Any]] = []
        self.parts = []  # of the clips, one for each corpus
        for corpus in recipe.validation.corpora:
            first = len(clips)
            for row in islice(random_rows(corpus, recipe.seed), share):
                name, start, target = row_id(row, corpus), 0, own_target(row, corpus)
                if targets.teacher_labels and corpus.speech:
                    windows = targets.teacher_labels(corpus, name)
                    if not windows:
                        raise Wav2SmallError(f"{name} of {corpus.source} has no teacher label: annotate it too")
                    start, target = round(windows[0][0] * SAMPLING_RATE), windows[0][1]
                piece = waveform(row, corpus)[start : start + crop]
                speech = row.get("speech") if corpus.speech else 0.0
                facts = {"is_speech": corpus.speech, "speech": np.nan if speech is None else speech}
                facts |= {"teacher_values": None, "id": name, "skipped": 0}
                clips.append({"recordings": [piece], "target": target, **facts})
            if len(clips) == first:
                raise Wav2SmallError(f"{corpus.source} has no clips for the validation: see the recipe")
            self.parts.append(slice(first, len(clips)))
        self.batches = [to_device(collate(clips[i : i + 32], crop), device) for i in range(0, len(clips), 32)]
        self.targets = torch.cat([targets(batch) for batch in self.batches]).cpu().numpy()
        if np.isnan(self.targets).any(axis=1).all():
            raise Wav2SmallError("no clip of the validation has a target: give it a corpus of speech")

    @torch.inference_mode()
    def score(self, student: torch.nn.Module) -> tuple[list[float], float | None]:
        """Score a student.

        Returns:
            CCC to the targets (A, D, V), on that corpus of the validation where its mean is lowest; and the mean
            absolute error of the share of speech, where the student predicts it and clips have it.
        """
        student.eval()
        outputs = [student(batch["input_values"], batch["attention_mask"]) for batch in self.batches]
        predictions = torch.cat([output.logits.float() for output in outputs]).cpu().numpy()
        scores = []
        for part in self.parts:
            known = ~np.isnan(self.targets[part]).any(axis=1)
            if known.any():
                scores.append(ccc(predictions[part][known], self.targets[part][known]))
        error = None
        shares = torch.cat([batch["speech"] for batch in self.batches])
        if getattr(outputs[0], "speech", None) is not None and not shares.isnan().all():
            predicted = torch.cat([output.speech[:, 0].float() for output in outputs])
            error = round(float((predicted - shares).abs().nanmean()), 4)
        return [round(float(value), 4) for value in min(scores, key=np.mean)], error


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Move the tensors of a batch; a GPU takes them from pinned memory, and this process goes on meanwhile."""
    tensors = {key: value for key, value in batch.items() if torch.is_tensor(value)}
    if device.type == "cuda":
        tensors = {key: value.pin_memory() for key, value in tensors.items()}
    return batch | {key: value.to(device, non_blocking=True) for key, value in tensors.items()}
