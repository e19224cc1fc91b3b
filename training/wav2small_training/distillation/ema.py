"""Exponential moving average of a student's weights, with a warm-up."""

from collections.abc import Callable

import torch

Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]


def decay_at(step: int, decay: float) -> float:
    """Decay after a number of updates: small at first, so that the random start is soon forgotten."""
    return min(decay, (step + 1) / (step + 10))


def ema_update(decay: float) -> Callable[[Tensors, Tensors, torch.Tensor | int], None]:
    """Make the update of an average, for [`torch.optim.swa_utils.AveragedModel`].

    Args:
        decay: share of the average that stays in a late update, 0..1.
    """

    @torch.no_grad()
    def update(averages: Tensors, currents: Tensors, updates: torch.Tensor | int) -> None:
        weight = 1 - decay_at(int(updates), decay)
        for average, current in zip(averages, currents, strict=True):
            if average.is_floating_point():
                average.lerp_(current, weight)
            else:
                average.copy_(current)

    return update


def share_of_start(steps: int, decay: float) -> float:
    """Share of the first weights, those after one step, that is left in the average after some steps."""
    share = 1.0
    for step in range(1, steps):
        share *= decay_at(step, decay)
    return share
