"""A handful of rated clips -> what to add to the predictions for one speaker, or one kind of recording."""

from collections.abc import Iterable, Sequence

import numpy as np

from ..models.errors import Wav2SmallError

PRIOR = 2  # clips: the shift is drawn towards 0 as if so many more had been right; measured in docs/conversations.md


def shift(predicted: np.ndarray, ratings: Iterable[Sequence[float]]) -> np.ndarray:
    """The mean of rating minus prediction, drawn towards 0.

    Args:
        predicted: (clips, 3), NaN for a clip without speech.
        ratings: arousal, dominance and valence of each clip, 0 to 1; NaN where one is not known.

    Returns:
        (3,), what to add to predictions.

    Raises:
        Wav2SmallError: if a rating is not three numbers from 0 to 1, or none belongs to a clip with speech.

    Examples:
        >>> shift(np.array([[0.5, 0.5, 0.5]] * 2), [(0.9, 0.5, np.nan)] * 2)
        array([0.2, 0. , 0. ])
    """
    rows = [np.asarray(rating, float) for rating in ratings]
    if any(row.shape != (3,) or (row < 0).any() or (row > 1).any() for row in rows):
        raise Wav2SmallError(
            "a rating is arousal, dominance and valence, each from 0 to 1, or NaN where it is not known"
        )
    errors = np.array(rows).reshape(-1, 3) - predicted.reshape(-1, 3)
    known = ~np.isnan(errors)
    if not known.any():
        raise Wav2SmallError("none of the rated clips has speech and a rating: name at least one")
    return np.asarray(np.nansum(errors, axis=0) / (known.sum(axis=0) + PRIOR))
