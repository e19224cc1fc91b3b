"""Losses of the distillation."""

import torch


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
