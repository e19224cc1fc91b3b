"""What predictions are compared with: people's ratings, norms of emotion words, or teacher labels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallError

from ..data.corpora import MisfitError, cell, row_id
from ..data.norms import AUC_GROUPS, emotion_norm, shrink_to_middle
from ..recipe import Corpus
from .models import load_model

AGREEMENT = "rater_agreement"  # column of 0..1: share of the listeners who chose the word

GROUPED = {word for groups in AUC_GROUPS.values() for group in groups for word in group}

Row = dict[str, Any]
Target = Callable[[Row, np.ndarray], np.ndarray]  # row and waveform -> (3,), NaN for a dimension without a target

Word = Callable[[Row, Corpus], str]  # row and corpus -> emotion word


@dataclass(frozen=True)
class Ratings:
    """People's ratings.

    Attributes:
        columns: column of a dimension, for example {"arousal": "EmoAct"}; a dimension may be left out.
        scale: lowest and highest rating; they become 0 and 1. None for values that are used as they are.

    Raises:
        Wav2SmallError: if there is no column, one of an unknown dimension, or the scale does not rise.
    """

    columns: dict[str, str]
    scale: tuple[float, float] | None = (0.0, 1.0)

    def __post_init__(self) -> None:
        unknown = ", ".join(sorted(self.columns.keys() - set(LABELS)))
        if unknown or not self.columns:
            raise Wav2SmallError(f"ratings are columns of {', '.join(LABELS)}, not of {unknown or 'nothing'}")
        if self.scale and not self.scale[0] < self.scale[1]:
            raise Wav2SmallError(f"a scale goes from low to high, not from {self.scale[0]:g} to {self.scale[1]:g}")

    def __str__(self) -> str:
        named = ", ".join(f"{dimension} from `{column}`" for dimension, column in self.columns.items())
        if self.scale is None:
            return f"Ratings: {named}, as they are."
        return f"Human ratings: {named}; {self.scale[0]:g} to {self.scale[1]:g} became 0 to 1."

    def of(self, corpus: Corpus) -> Target:
        """Make the reader of the ratings of a corpus."""
        low, high = self.scale or (0.0, 1.0)

        def target(row: Row, waveform: np.ndarray) -> np.ndarray:
            values = np.full(3, np.nan)
            for dimension, column in self.columns.items():
                text = cell(row, column, corpus.source)
                if text in (None, ""):
                    continue
                try:
                    rating = float(text)
                except (TypeError, ValueError):
                    raise MisfitError(f"{row_id(row, corpus)}: {column} is {text!r}, not a number") from None
                if self.scale and not low <= rating <= high:
                    raise MisfitError(f"{row_id(row, corpus)}: {column} is {rating:g}, outside of {low:g} to {high:g}")
                values[LABELS.index(dimension)] = (rating - low) / (high - low)
            if np.isnan(values).all():
                raise Wav2SmallError("no rating")
            return values

        return target


@dataclass(frozen=True)
class Norms:
    """Published norms of emotion words; where listeners disagreed, moved towards the middle of the scale.

    Attributes:
        column: of the emotion word. A column `rater_agreement` (0..1), where there is one, says how many agreed.
    """

    column: str

    def __str__(self) -> str:
        return (
            f"Norms of the emotion words in `{self.column}`: they say how people rate a **word**. Nobody rated these "
            "voices; a score here is agreement with a convention, not with listeners."
        )

    def of(self, corpus: Corpus) -> Target:
        """Make the reader of the norms of a corpus; a word that has no norm but a group of [`AUC_GROUPS`] gives NaN."""

        def target(row: Row, waveform: np.ndarray) -> np.ndarray:
            norm = self._norm(row, corpus)
            if norm is None and self.word(row, corpus) not in GROUPED:
                raise Wav2SmallError(f"no norm for the word {row[self.column]!r}")
            if norm is None:
                return np.full(3, np.nan)
            return shrink_to_middle(norm, float(row.get(AGREEMENT) or 1))

        return target

    def word(self, row: Row, corpus: Corpus) -> str:
        """The emotion word of a row, in lower case."""
        return str(cell(row, self.column, corpus.source)).strip().lower()

    def _norm(self, row: Row, corpus: Corpus) -> np.ndarray | None:
        try:
            return emotion_norm(self.word(row, corpus))
        except KeyError:
            return None


@dataclass(frozen=True)
class Teacher:
    """Teacher labels: the predictions of another model for the clips as recorded, not clipped to 0..1.

    Attributes:
        source: what `load_model` takes; several stand for their mean.
    """

    source: str | tuple[str, ...]

    def __str__(self) -> str:
        named = self.source if isinstance(self.source, str) else " + ".join(self.source)
        return f"Teacher labels of `{named}`: a score here is agreement with a model, not with people."

    def of(self, corpus: Corpus) -> Target:
        """Load the model."""
        predict = load_model(self.source).predict
        return lambda row, waveform: predict(waveform)
