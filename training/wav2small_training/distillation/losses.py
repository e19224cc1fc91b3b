"""Losses of the distillation, over all processes."""

import torch
from accelerate import Accelerator


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


class DistillationLoss:
    """`ccc` * (1 - CCC) + `l2` * mean squared error, both over the global batch.

    Args:
        ccc: weight of the first.
        l2: weight of the second.
        accelerator: of the run.
    """

    def __init__(self, ccc: float, l2: float, accelerator: Accelerator):
        self.ccc, self.l2, self.accelerator = ccc, l2, accelerator

    def __call__(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss to run backward from, for (batch, 3) of this process; its value is `num_processes` times the loss."""
        prediction = gather_with_gradient(prediction.float(), self.accelerator)
        target = self.accelerator.gather(target.float())
        loss = self.ccc * ccc_loss(prediction, target) + self.l2 * (prediction - target).square().mean()
        return loss * self.accelerator.num_processes
