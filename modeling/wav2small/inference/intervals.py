"""Prediction intervals: how far a rating may lie from a prediction, by the length of the speech and the noise.

Conformal prediction (Vovk, Gammerman and Shafer 2005) by groups: for rated clips of speakers that the network was not
trained on, `wav2small calibrate` collects rating minus prediction, in groups of clips that are alike, and keeps the
quantiles in `intervals.json` beside the weights. A new clip gets those of its group. An interval holds what it was
measured on: where norms of acted emotions stood for ratings, it holds such norms, and says nothing of listeners.
"""

import json
from bisect import bisect
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import whole_file
from ..models.errors import Wav2SmallError

INTERVALS_FILE = "intervals.json"
COVERAGE = 0.8  # by default
COVERAGES = (0.5, 0.8, 0.9)
QUANTILES = (0.05, 0.1, 0.25, 0.75, 0.9, 0.95)  # of rating minus prediction: the tails of these coverages
SECONDS = (1.0, 2.0)  # of speech; at these the next group begins
RANGES = (15.0,)  # dB between loud and soft moments, likewise: below it there is noise
GROUPS = (len(SECONDS) + 1) * (len(RANGES) + 1)

Errors = tuple[tuple[float, ...], ...]  # for arousal, dominance, valence: QUANTILES of rating minus prediction


@dataclass(frozen=True, slots=True)
class Intervals:
    """The errors of a checkpoint by groups of clips.

    Attributes:
        errors: by group of `group`: (6, 3, 6), groups, dimensions, quantiles.
        measured_on: on which recordings, and what stood for their ratings.
        checked: percent of the ratings that lay in the interval of 80 %, for speakers and conditions that nothing was
            measured on: records of `on`, `crops`, and each dimension.

    Raises:
        Wav2SmallError: if the shape is another, or the quantiles of a group do not rise.

    Examples:
        >>> spread = np.linspace(-0.2, 0.2, 6) * np.ones((6, 3, 1))
        >>> Intervals.of(spread, "an example")(seconds=0.7, level_range=40)[0]
        (-0.2, -0.12, -0.04, 0.04, 0.12, 0.2)
    """

    errors: tuple[Errors, ...]
    measured_on: str
    checked: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        shape, needed = np.shape(self.errors), (GROUPS, 3, len(QUANTILES))
        if shape != needed or not np.all(np.diff(self.errors, axis=2) >= 0):
            raise Wav2SmallError(f"the errors must be {needed}, and rise; they are {shape}")

    @classmethod
    def of(cls, errors: Any, measured_on: str, checked: tuple[dict[str, Any], ...] = ()) -> "Intervals":
        """Make intervals of an array (6, 3, 6)."""
        rounded = np.round(np.asarray(errors, float), 4).tolist()
        return cls(tuple(tuple(map(tuple, group)) for group in rounded), measured_on, checked)

    def __call__(self, seconds: float, level_range: float) -> Errors:
        """The errors of clips with so many seconds of speech, and so many dB between loud and soft moments."""
        return self.errors[group(seconds, level_range)]

    @classmethod
    def read(cls, folder: Path) -> "Intervals | None":
        """Read the intervals of a checkpoint; `None` if it has no `intervals.json`.

        Raises:
            Wav2SmallError: if the file was not written by [`Intervals.write`].
        """
        file = folder / INTERVALS_FILE
        if not file.is_file():
            return None
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return cls.of(content["errors"], content["measured_on"], tuple(content["checked"]))
        except (ValueError, KeyError, TypeError, Wav2SmallError) as error:
            raise Wav2SmallError(f"{file} holds no intervals ({error}): run `wav2small calibrate` again") from None

    def write(self, folder: Path) -> None:
        """Write `intervals.json` into the folder of a checkpoint."""
        with whole_file(folder / INTERVALS_FILE) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def group(seconds: float, level_range: float) -> int:
    """Which group a clip belongs to: 0 is short and noisy, the last one is long and clean.

    >>> group(seconds=0.5, level_range=10), group(seconds=5, level_range=40)
    (0, 5)
    """
    return bisect(RANGES, level_range) * (len(SECONDS) + 1) + bisect(SECONDS, seconds)


def tails(coverage: float) -> tuple[int, int]:
    """The places of the low and the high tail of a coverage among QUANTILES.

    Raises:
        Wav2SmallError: for another coverage.
    """
    if coverage not in COVERAGES:
        raise Wav2SmallError(f"coverage={coverage}: intervals are measured for {', '.join(map(str, COVERAGES))}")
    low = len(COVERAGES) - 1 - COVERAGES.index(coverage)
    return low, len(QUANTILES) - 1 - low


def mean_errors(windows: list[Errors | None]) -> Errors | None:
    """The mean of the errors of windows; `None` where one has none."""
    known = [errors for errors in windows if errors]
    if not known or len(known) < len(windows):
        return None
    return tuple(map(tuple, np.mean(known, axis=0).tolist()))
