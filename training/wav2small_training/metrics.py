"""Agreement of answers with ratings, a dimension at a time, and how sure it is."""

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import rankdata

BLOCK = 500_000  # numbers that the bootstrap draws at once
UNCHANGED = 0.05  # a smaller difference of two answers counts as none (audeering/ser-tests)


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


def mae(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean absolute error, shapes as for [`ccc`], in units of the scale."""
    return np.abs(prediction - target).mean(axis=0)


def spearman(prediction: np.ndarray, target: np.ndarray) -> float:
    """Spearman's rank correlation of two (n,) arrays, ties at their mean rank: Pearson's of the ranks."""
    return float(pearson(rankdata(prediction), rankdata(target)))


def js_distance(prediction: np.ndarray, target: np.ndarray, bins: int = 10) -> float:
    """Jensen-Shannon distance of two distributions: square root of the divergence in bits.

    Args:
        prediction: (clips,).
        target: (any number,).
        bins: of equal width over 0..1; a value outside counts in the nearest.

    Returns:
        0 for the same histograms, 1 for histograms without a bin in common.
    """
    edges = np.linspace(0, 1, bins + 1)
    shares = [np.histogram(np.clip(values, 0, 1), edges)[0] for values in (prediction, target)]
    return float(jensenshannon(*shares, base=2))


def unchanged(answer: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """Share of clips whose answer moved by less than .05, shapes as for [`ccc`]."""
    return (np.abs(answer - changed) < UNCHANGED).mean(axis=0)


def interval(
    metric: Callable[[np.ndarray, np.ndarray], np.ndarray],
    prediction: np.ndarray,
    target: np.ndarray,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % confidence interval by the percentile bootstrap (Efron 1979): clips are drawn with replacement.

    It says how much the score hangs on the choice of clips, with speakers and raters as they are.

    Args:
        metric: one of the above.
        prediction: (clips,).
        target: (clips,).
        resamples: draws of as many clips as there are.
        seed: of the draws.

    Returns:
        Lower and upper end.
    """
    random = np.random.default_rng(seed)
    clips = len(target)
    at_once = max(1, BLOCK // clips)
    scores = []
    for first in range(0, resamples, at_once):
        draws = random.integers(clips, size=(clips, min(at_once, resamples - first)))  # a draw a column
        scores.append(metric(prediction[draws], target[draws]))
    low, high = np.percentile(np.concatenate(scores), [2.5, 97.5])
    return float(low), float(high)
