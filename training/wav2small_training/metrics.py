"""Agreement of predictions with ratings, a dimension at a time; numpy only."""

import numpy as np


def ccc(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Concordance correlation coefficient, Lin (1989): 2 cov / (var + var + (mean - mean)²), population moments.

    Args:
        prediction: (clips,) or (clips, dimensions).
        target: same shape.

    Returns:
        () or (dimensions,), -1..1; 0 where both are the same constant.
    """
    mean_p, mean_t = prediction.mean(axis=0), target.mean(axis=0)
    covariance = ((prediction - mean_p) * (target - mean_t)).mean(axis=0)
    scale = prediction.var(axis=0) + target.var(axis=0) + (mean_p - mean_t) ** 2
    return 2 * covariance / np.maximum(scale, np.finfo(np.float64).tiny)


def pearson(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Pearson's correlation, shapes as for [`ccc`]; 0 where either is constant."""
    covariance = ((prediction - prediction.mean(axis=0)) * (target - target.mean(axis=0))).mean(axis=0)
    scale = prediction.std(axis=0) * target.std(axis=0)
    return covariance / np.maximum(scale, np.finfo(np.float64).tiny)
