"""Ridge regression from frozen features to arousal, dominance and valence, over corpora that differ in level.

Corpora differ in their recordings, their actors and in how targets were come by. So each is centred by its own means,
features and targets, and weighs the same however many clips it has: only what varies *within* a corpus is learned.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from ..metrics import pearson

FOLDS = 10  # at most, where a corpus has more speakers than that


@dataclass(frozen=True)
class FeatureSet:
    """The clips of one corpus, as features.

    Attributes:
        name: of the corpus.
        features: (clips, size).
        targets: (clips, 3), arousal, dominance, valence.
        speakers: (clips,); clips of one speaker are never on both sides of a split.
        original: (clips,), false for augmented copies: these are trained on, and not scored.
    """

    name: str
    features: np.ndarray
    targets: np.ndarray
    speakers: np.ndarray
    original: np.ndarray

    def part(self, chosen: np.ndarray) -> "FeatureSet":
        """Take the clips where a mask (clips,) is true."""
        kept = (self.features[chosen], self.targets[chosen], self.speakers[chosen], self.original[chosen])
        return FeatureSet(self.name, *kept)


@dataclass(frozen=True)
class Ridge:
    """A linear map from features to targets: `(features - mean) / deviation @ weight + bias`.

    Attributes:
        mean: (size,), of the corpus on which the map is centred.
        deviation: (size,), within corpora.
        weight: (size, 3).
        bias: (3,), the mean target of the corpus on which the map is centred.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Predict (clips, 3) from (clips, size)."""
        return (features - self.mean) / self.deviation @ self.weight + self.bias

    def rescaled(self, slope: np.ndarray) -> "Ridge":
        """Widen or narrow the predictions around their bias, each dimension by its slope (3,)."""
        return Ridge(self.mean, self.deviation, self.weight * slope, self.bias)


def fit(sets: list[FeatureSet], penalties: list[float]) -> list[Ridge]:
    """Fit one map for each penalty.

    Args:
        sets: the corpora; the maps are centred on the first.
        penalties: of the squared weights, relative to the mean squared error, on standardised features.

    Returns:
        The maps, in the order of the penalties.
    """
    centred = [(each.features - each.features.mean(axis=0), each.targets - each.targets.mean(axis=0)) for each in sets]
    shares = np.concatenate([np.full(len(x), 1 / len(x) / len(sets)) for x, _ in centred])[:, None]
    features = np.concatenate([x for x, _ in centred]).astype(np.float64)
    targets = np.concatenate([y for _, y in centred]).astype(np.float64)
    deviation = np.sqrt((shares * features**2).sum(axis=0)) + 1e-6
    features /= deviation
    values, vectors = eigh(features.T @ (shares * features))  # once, for all penalties
    projected = vectors.T @ (features.T @ (shares * targets))
    mean, bias = sets[0].features.mean(axis=0), sets[0].targets.mean(axis=0)
    return [
        Ridge(mean, deviation, vectors @ (projected / (np.maximum(values, 0) + penalty)[:, None]), bias)
        for penalty in penalties
    ]


def folds(speakers: np.ndarray) -> list[np.ndarray]:
    """Split clips so that nobody is on both sides: a mask (clips,) of test clips for each speaker, or some speakers."""
    names = np.unique(speakers)
    return [np.isin(speakers, names[i :: min(FOLDS, len(names))]) for i in range(min(FOLDS, len(names)))]


def leave_speakers_out(sets: list[FeatureSet], place: int, penalties: list[float]) -> np.ndarray:
    """Predict each clip of one corpus by maps that were fitted without its speaker.

    Args:
        sets: the corpora; all others are trained on whole.
        place: of the corpus to predict, among the sets.
        penalties: of the maps.

    Returns:
        (penalties, clips, 3).
    """
    left = sets[place]
    predictions = np.empty((len(penalties), *left.targets.shape))
    for test in folds(left.speakers):
        others = [each.part(~test) if i == place else each for i, each in enumerate(sets)]
        # centred on this corpus, as one who uses the map on such recordings would have it
        ordered = [others[place], *others[:place], *others[place + 1 :]]
        for i, ridge in enumerate(fit(ordered, penalties)):
            predictions[i, test] = ridge(left.features[test])
    return predictions


def across_corpora(sets: list[FeatureSet], place: int, penalties: list[float]) -> np.ndarray:
    """Predict the clips of one corpus by maps that were fitted on all others: (penalties, clips, 3)."""
    others = sets[:place] + sets[place + 1 :]
    return np.stack([ridge(sets[place].features) for ridge in fit(others, penalties)])


def correlations(predictions: np.ndarray, scored: FeatureSet) -> np.ndarray:
    """Pearson's r of predictions (penalties, clips, 3) on the unaugmented clips: (penalties, 3)."""
    return np.stack([pearson(each[scored.original], scored.targets[scored.original]) for each in predictions])


def scale(predictions: np.ndarray, scored: FeatureSet) -> np.ndarray:
    """The slopes (3,) that give predictions (clips, 3) the spread of the targets: then CCC comes near r."""
    return scored.targets[scored.original].std(axis=0) / predictions[scored.original].std(axis=0)
