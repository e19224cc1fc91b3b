"""Losses of the distillation, over all processes."""

import torch
from accelerate import Accelerator

from ..recipe import Loss


def ccc_loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - concordance correlation (Lin 1989), the mean over the dimensions.

    CCC is a statistic of the batch: a large one estimates it well, and two halves do not average to the whole.

    Args:
        prediction: (batch, dimensions), batch of at least 2.
        target: (batch, dimensions).

    Returns:
        (), 0..2; 0 for perfect agreement.
    """
    mean_p, mean_t = prediction.mean(dim=0), target.mean(dim=0)
    covariance = ((prediction - mean_p) * (target - mean_t)).mean(dim=0)
    variances = prediction.var(dim=0, unbiased=False) + target.var(dim=0, unbiased=False)
    return (1 - 2 * covariance / (variances + (mean_p - mean_t).square() + 1e-8)).mean()


def gather_with_gradient(value: torch.Tensor, accelerator: Accelerator) -> torch.Tensor:
    """Concatenate (batch, …) tensors of all processes; the part of this process keeps its gradient.

    Each process then has the gradient of the whole loss with respect to its own part. Data parallelism averages the
    gradients of the processes, while the true gradient is their sum: multiply the loss by the number of processes.
    """
    if accelerator.num_processes == 1:
        return value
    parts = list(accelerator.gather(value.detach()).chunk(accelerator.num_processes))
    parts[accelerator.process_index] = value
    return torch.cat(parts)


def speech_loss(predicted: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of the share of speech; `torch` refuses its own in mixed precision.

    Args:
        predicted: (clips,), 0..1.
        share: (clips,), 0..1.
    """
    predicted = predicted.clamp(1e-6, 1 - 1e-6)
    return -(share * predicted.log() + (1 - share) * (1 - predicted).log()).mean()


class DistillationLoss:
    """`ccc` * (1 - CCC) + `l2` * mean squared error + `speech` * binary cross-entropy, over the global batch.

    Clips count where they have a target, and where they have a share of speech.

    Args:
        weights: of the three.
        accelerator: of the run.
    """

    def __init__(self, weights: Loss, accelerator: Accelerator):
        self.weights, self.accelerator = weights, accelerator

    def __call__(
        self,
        prediction: torch.Tensor,
        target: torch.Tensor,
        speech: torch.Tensor | None = None,
        share: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Loss to run backward from, for the clips of this process; its value is `num_processes` times the loss.

        Args:
            prediction: (batch, 3).
            target: (batch, 3), NaN where it is not known.
            speech: (batch, 1), the predicted share of speech, from students that have one.
            share: (batch,), the share of speech, NaN where it is not known.
        """
        prediction = gather_with_gradient(prediction.float(), self.accelerator)
        target = self.accelerator.gather(target.float())
        known = ~target.isnan().any(dim=1)
        loss: torch.Tensor = 0 * prediction.sum()
        if known.sum() > 1:
            difference = (prediction[known] - target[known]).square().mean()
            loss = loss + self.weights.ccc * ccc_loss(prediction[known], target[known]) + self.weights.l2 * difference
        if speech is not None and share is not None:
            speech = gather_with_gradient(speech[:, 0].float(), self.accelerator)
            share = self.accelerator.gather(share)
            known = ~share.isnan()
            if known.any():
                loss = loss + self.weights.speech * speech_loss(speech[known], share[known])
            loss = loss + 0 * speech.sum()  # data parallelism wants a gradient of every output
        processes: int = self.accelerator.num_processes
        return loss * processes
