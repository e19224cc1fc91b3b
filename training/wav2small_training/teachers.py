"""Teachers: models of ours, published models in their own layouts, or the mean of several."""

from collections.abc import Sequence

import torch

from wav2small.checkpoint import load_checkpoint
from wav2small.convert.teacher import read_config, teacher_from
from wav2small.models.auto import CLASSES
from wav2small.models.modeling_adv_teacher import AdvTeacherOutput


def member_sources(teacher: str | Sequence[str] | None) -> list[str]:
    """Sources of the members of a teacher, as a recipe names it; none without one."""
    return [teacher] if isinstance(teacher, str) else list(teacher or [])


def load_teacher(source: str | Sequence[str], device: torch.device) -> torch.nn.Module:
    """Load a model of ours, or published teachers in their own layouts: in evaluation, without gradients.

    Raises:
        Wav2SmallError: if it cannot be found or read, or its weights do not fit.
    """
    sources = member_sources(source)
    kinds = [str(read_config(one, None)[0].get("model_type")) for one in sources]
    teacher: torch.nn.Module
    if all(kind in CLASSES for kind in kinds):
        loaded: list[torch.nn.Module] = [load_checkpoint(one) for one in sources]
        teacher = loaded[0] if len(loaded) == 1 else Ensemble(loaded)
    else:
        teacher = teacher_from(sources)
    return teacher.eval().requires_grad_(False).to(device)


class Ensemble(torch.nn.Module):
    """The mean of some models of ours."""

    def __init__(self, members: list[torch.nn.Module]):
        super().__init__()
        self.members = torch.nn.ModuleList(members)

    def forward(self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None) -> AdvTeacherOutput:
        """Give `logits` (batch, 3) and `member_logits` (batch, members, 3), as the published teachers do."""
        logits = torch.stack([member(input_values, attention_mask).logits for member in self.members], dim=1)
        return AdvTeacherOutput(logits=logits.mean(dim=1), member_logits=logits)
