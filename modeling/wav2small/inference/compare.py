"""How a change of recordings changes how they sound: enhancement, codecs, anonymisation, text-to-speech."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models.adv import LABELS
from ..models.errors import Wav2SmallError
from .prediction import Prediction
from .predictor import Predictor

RESAMPLES = 2000  # of the bootstrap
COVERAGE = 0.95


@dataclass(frozen=True)
class Comparison:
    """The same recordings twice, such as before and after a codec.

    Attributes:
        names: of the pairs.
        before: prediction of each recording.
        after: prediction of its counterpart, in the same order.

    Examples:
        >>> one, other = (Prediction(a, 0.5, 0.5, 0, 1) for a in (0.4, 0.6))
        >>> Comparison(["a"], [one], [other]).changes().round(1)
        array([[0.2, 0. , 0. ]])
    """

    names: list[str]
    before: list[Prediction]
    after: list[Prediction]

    def changes(self) -> np.ndarray:
        """(pairs, 3): after minus before; NaN where there is no speech in one of the two."""
        values = [np.array([one.as_array() for one in each], float) for each in (self.before, self.after)]
        return np.asarray(values[1] - values[0])

    def differs(self) -> np.ndarray:
        """(pairs, 3) bool: whether a change is beyond the model's errors, see `Prediction.differs`."""
        pairs = zip(self.before, self.after, strict=True)
        return np.array([[one.differs(other, label) for label in LABELS] for one, other in pairs])

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean change, and an interval that holds it with 95 % confidence.

        The interval is a bootstrap over pairs (Efron and Tibshirani 1993): it says how far another sample of such
        recordings may lie, not how far a prediction is from what a listener would say.

        Returns:
            Mean (3,), and low and high (2, 3); NaN where no pair has speech in both, and for one pair the interval.
        """
        changes = self.changes()
        changes = changes[~np.isnan(changes[:, 0])]
        if not len(changes):
            return np.full(3, np.nan), np.full((2, 3), np.nan)
        if len(changes) == 1:
            return changes[0], np.full((2, 3), np.nan)
        drawn = np.random.default_rng(0).integers(0, len(changes), (RESAMPLES, len(changes)))
        means = changes[drawn].mean(axis=1)  # (resamples, 3)
        tail = (1 - COVERAGE) / 2
        return changes.mean(axis=0), np.quantile(means, [tail, 1 - tail], axis=0)

    def summary(self) -> str:
        """The mean change of each dimension in words, one line each."""
        mean, (low, high) = self.mean()
        lost = int(np.isnan(self.changes()[:, 0]).sum())
        lines = []
        for name, middle, bottom, top in zip(LABELS, mean, low, high, strict=True):
            interval = "" if np.isnan(bottom) else f" [{bottom:+.3f}, {top:+.3f}]"
            lines.append(f"{name} {middle:+.3f}{interval}")
        lines += [f"{lost} of {len(self.names)} pairs lack speech on one side"] if lost else []
        return "\n".join(lines)


def compare(predictor: Predictor, before: Sequence[Any], after: Sequence[Any], names: Sequence[str]) -> Comparison:
    """Predict recordings and their counterparts.

    Args:
        predictor: the model.
        before: sources, as for the predictor; what is above 5 s is predicted in windows, and has their mean.
        after: their counterparts, in the same order.
        names: of the pairs.

    Raises:
        Wav2SmallError: if there are no pairs, the numbers differ, or a recording cannot be read.
    """
    if not len(before) == len(after) == len(names) or not names:
        raise Wav2SmallError(f"pairs are needed: {len(before)} recordings before and {len(after)} after are none")
    return Comparison(
        list(names), *([predictor.mean(predictor.timeline(one)) for one in side] for side in (before, after))
    )
