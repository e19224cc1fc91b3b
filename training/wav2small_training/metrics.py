"""Agreement of predictions with targets in each dimension, and its confidence interval.

SciPy is imported where it is used: an export needs `ccc` alone, and has no SciPy.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

AT_ONCE = 500_000  # numbers that the bootstrap draws at once
UNCHANGED = 0.05  # a smaller difference of two predictions counts as none (audeering/ser-tests)


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
    return np.asarray(2 * covariance / np.maximum(scale, np.finfo(np.float64).tiny))


def pearson(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Pearson's correlation, shapes as for [`ccc`]; 0 where either is constant."""
    covariance = ((prediction - prediction.mean(axis=0)) * (target - target.mean(axis=0))).mean(axis=0)
    scale = prediction.std(axis=0) * target.std(axis=0)
    return np.asarray(covariance / np.maximum(scale, np.finfo(np.float64).tiny))


def mae(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean absolute error, shapes as for [`ccc`], in units of the scale."""
    return np.asarray(np.abs(prediction - target).mean(axis=0))


def spearman(prediction: np.ndarray, target: np.ndarray) -> float:
    """Spearman's rank correlation of two (n,) arrays; 0 where either is constant."""
    if np.ptp(prediction) == 0 or np.ptp(target) == 0:
        return 0.0
    from scipy.stats import spearmanr

    return float(spearmanr(prediction, target).statistic)


def auc(high: np.ndarray, low: np.ndarray, axis: int = 0) -> np.ndarray:
    """Area under the ROC curve of predictions that should be high against predictions that should be low.

    It is the probability that a clip of the first group is predicted higher than one of the second, ties counting half:
    the statistic of Mann and Whitney (1947), divided by the number of pairs.

    Args:
        high: predictions for the first group.
        low: predictions for the second group.
        axis: of the clips.

    Returns:
        0..1, without that axis; .5 is chance.
    """
    pairs = high.shape[axis] * low.shape[axis]
    from scipy.stats import mannwhitneyu

    return np.asarray(mannwhitneyu(high, low, axis=axis, method="asymptotic").statistic / pairs)


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
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(*shares, base=2))


def unchanged(prediction: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """Share of clips whose prediction moved by less than .05, shapes as for [`ccc`]."""
    return np.asarray((np.abs(prediction - changed) < UNCHANGED).mean(axis=0))


def interval(
    metric: Callable[[np.ndarray, np.ndarray], np.ndarray],
    prediction: np.ndarray,
    target: np.ndarray,
    resamples: int = 1000,
    paired: bool = True,
) -> tuple[float, float]:
    """95 % confidence interval by the percentile bootstrap (Efron 1979): clips are drawn with replacement.

    It says how much the score depends on the choice of clips; the speakers and raters stay the same. The
    draws are the same in every call.

    Args:
        metric: one of the above, which takes the clips along the first axis.
        prediction: (clips,).
        target: (clips,).
        resamples: draws of as many clips as there are.
        paired: whether a clip is in both arrays; else, as for [`auc`], clips are drawn from each array by itself.

    Returns:
        Lower and upper end.
    """

    def statistic(drawn: np.ndarray, wanted: np.ndarray, axis: int) -> np.ndarray:
        return metric(np.moveaxis(drawn, axis, 0), np.moveaxis(wanted, axis, 0))

    from scipy.stats import bootstrap

    found: Any = bootstrap(
        (prediction, target),
        statistic,
        paired=paired,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, AT_ONCE // len(target)),
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
