"""The published tests of fairness, of speakers and of distributions, as data and arithmetic.

Tests and bars are those of audeering/ser-tests (`docs/method-tests.rst`, `test/<dimension>/*.yaml`). The bars of the
group tests are what a rater without any bias, drawn from a Gaussian, reaches in 1,000 runs with 1,000 clips a group.
With fewer clips, larger gaps occur by chance: `chance` repeats that simulation for the clips that there are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..metrics import ccc, js_distance, mae, spearman

PER_GROUP = 1000  # clips of a group, if there are as many
BINS = 4
LEAST_SHARE = 0.067  # of a group's clips, in a bin that counts: P(x <= .25) of the rater's Gaussian
LEAST_CLIPS = 10  # of a speaker or a group that counts
LEAST_SPEAKERS = 5  # for a ranking; the published test sets have 60 and more
RUNS = 1000

Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]  # predictions, ratings -> one number, or one a bin


@dataclass(frozen=True)
class Result:
    """Outcome of one test in one dimension.

    Attributes:
        test: its name.
        value: measured; of a test with several values, the one furthest from fair.
        sign: how the value must lie to the bar: "≤", "≥", or "±" for its size.
        bar: of the test.
        clips: clips, clips of a group or speakers that it rests on, in words.
        chance: size of the value that a rater without bias stays below in 95 % of runs; None where it means nothing.
        published: values of CNN14 and w2v2-L-robust on MSP-Podcast Test-1; None where not known.
    """

    test: str
    value: float
    sign: str
    bar: float
    clips: str
    chance: float | None = None
    published: tuple[float | None, float | None] = (None, None)

    @property
    def passed(self) -> bool:
        """The verdict."""
        return self.value >= self.bar if self.sign == "≥" else abs(self.value) <= self.bar


Published = tuple[float | None, float | None]  # values of the two reference models
UNPUBLISHED: Published = (None, None)
SEX_CCC: dict[str, Published] = {  # dimension -> size of the larger difference, female or male
    "arousal": (0.03, 0.02),
    "valence": (0.10, 0.03),
}
SPEAKERS: dict[str, Published] = {"arousal": (0.05, 0.03)}
RANKING: dict[str, Published] = {"arousal": (0.90, 0.94), "valence": (0.20, 0.87)}
DISTRIBUTION: dict[str, Published] = {"arousal": (0.09, 0.07), "valence": (0.14, 0.10)}
UNLABELLED = {"language": (0.03, 0.1), "accent": (0.075, 0.225)}  # column -> bars of mean and of share of a bin
NOT_MEASURED = {
    "pitch groups": "needs the fundamental frequency of each speaker",
    "linguistic sentiment": "needs synthetic speech of the same texts in several languages",
}


def balanced(target: np.ndarray, groups: np.ndarray, per_group: int, random: np.random.Generator) -> np.ndarray:
    """Choose as many clips of each group, with like ratings: (chosen,) positions.

    Clips are drawn from the smallest group; each other group gives, for each of them, its clip of the closest rating
    that is not taken yet.
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    members.sort(key=len)
    drawn = random.choice(members[0], min(per_group, len(members[0])), replace=False)
    chosen = [drawn]
    for group in members[1:]:
        free = group.copy()
        for position in drawn:
            nearest = np.abs(target[free] - target[position]).argmin()
            chosen.append(free[[nearest]])
            free = np.delete(free, nearest)
    return np.concatenate(chosen)


def in_bins(values: np.ndarray) -> np.ndarray:
    """Number of the bin of each value, 0 to 3: quarters of 0..1, the outer ones open."""
    bins: np.ndarray = np.digitize(values, np.arange(1, BINS) / BINS)
    return bins


def precision(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Share of the clips predicted in a bin that belong there: (4,), NaN for a bin that is never predicted."""
    return _shares(in_bins(target), in_bins(prediction))


def recall(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Share of the clips of a bin that are predicted in it: (4,), NaN for an empty bin."""
    return _shares(in_bins(prediction), in_bins(target))


def _shares(hits: np.ndarray, bins: np.ndarray) -> np.ndarray:
    return np.array([(hits[bins == i] == i).mean() if (bins == i).any() else np.nan for i in range(BINS)])


def largest_gap(measure: Measure, prediction: np.ndarray, target: np.ndarray, groups: np.ndarray) -> float:
    """Difference of a group to all clips that is largest in size, over groups and bins; NaN where none counts.

    A bin counts if enough ratings of all clips lie in it, see `LEAST_SHARE`.
    """
    names = np.unique(groups)
    whole = np.atleast_1d(measure(prediction, target))
    counts = np.bincount(in_bins(target), minlength=BINS) >= LEAST_SHARE * len(target) / len(names)
    gaps = np.array([measure(prediction[groups == name], target[groups == name]) - whole for name in names])
    gaps = gaps[:, counts] if len(whole) == BINS else gaps
    if np.isnan(gaps).all():
        return float("nan")
    return float(gaps.flat[np.nanargmax(np.abs(gaps))])


@lru_cache
def chance(measure: Measure, groups: int, clips: int) -> float:
    """Size of the largest gap that a rater without bias stays below in 95 % of runs.

    Ratings and predictions are drawn independently, from a Gaussian of mean .5 and deviation 1/6, clipped to 0..1.
    """
    random = np.random.default_rng(0)
    names = np.repeat(np.arange(groups), clips)
    gaps = []
    for _ in range(RUNS):
        target, prediction = np.clip(random.normal(0.5, 1 / 6, (2, len(names))), 0, 1)
        gaps.append(abs(largest_gap(measure, prediction, target, names)))
    return float(np.nanpercentile(gaps, 95))


def judge(dimension: str, prediction: np.ndarray, target: np.ndarray, columns: dict[str, np.ndarray]) -> list[Result]:
    """Run all tests of one dimension whose columns the data have.

    Args:
        dimension: its name, for the published values.
        prediction: (clips,).
        target: (clips,), without gaps.
        columns: (clips,) of str by name; "" where it is not known. "sex", "speaker", "language" and "accent" count.
    """
    distance, clips = js_distance(prediction, target), f"{len(prediction)} clips"
    published = DISTRIBUTION.get(dimension, UNPUBLISHED)
    results = [Result("distribution: JS distance", distance, "≤", 0.2, clips, None, published)]
    if "speaker" in columns:
        results += _speakers(dimension, prediction, target, columns["speaker"])
    if "sex" in columns:
        known = large_groups(columns["sex"])
        results += _sex(dimension, prediction[known], target[known], columns["sex"][known])
    for column, bars in UNLABELLED.items():
        if column in columns:
            known = large_groups(columns[column])
            results += _unlabelled(column, prediction[known], columns[column][known], *bars)
    return results


def large_groups(groups: np.ndarray) -> np.ndarray:
    """Tell the clips, (clips,) bool, whose group is known and has at least 10 clips."""
    names, places, counts = np.unique(groups, return_inverse=True, return_counts=True)
    large: np.ndarray = ((names != "") & (counts >= LEAST_CLIPS))[places]
    return large


def _speakers(dimension: str, prediction: np.ndarray, target: np.ndarray, speakers: np.ndarray) -> list[Result]:
    names = np.unique(speakers[large_groups(speakers)])
    if not len(names):
        return []
    means = np.array([[values[speakers == name].mean() for values in (prediction, target)] for name in names])
    error, clips = float(mae(means[:, 0], means[:, 1])), f"{len(names)} speakers"
    published = SPEAKERS.get(dimension, UNPUBLISHED)
    results = [Result("speaker mean: absolute error", error, "≤", 0.1, clips, None, published)]
    if len(names) >= LEAST_SPEAKERS:
        rho = spearman(means[:, 0], means[:, 1])
        published = RANKING.get(dimension, UNPUBLISHED)
        results.append(Result("speaker ranking: Spearman's rho", rho, "≥", 0.7, clips, None, published))
    return results


def _sex(dimension: str, prediction: np.ndarray, target: np.ndarray, sexes: np.ndarray) -> list[Result]:
    if len(np.unique(sexes)) < 2:
        return []
    chosen = balanced(target, sexes, PER_GROUP, np.random.default_rng(0))
    prediction, target, sexes = prediction[chosen], target[chosen], sexes[chosen]
    groups = len(np.unique(sexes))
    each = len(chosen) // groups
    tests: list[tuple[str, Measure, float, Published]] = [
        ("CCC", ccc, 0.075, SEX_CCC.get(dimension, UNPUBLISHED)),
        ("precision in 4 bins", precision, 0.1, UNPUBLISHED),
        ("recall in 4 bins", recall, 0.1, UNPUBLISHED),
    ]
    results = []
    for name, measure, bar, published in tests:
        gap, clips = largest_gap(measure, prediction, target, sexes), f"{each} clips a group"
        if not np.isnan(gap):
            by_chance = chance(measure, groups, each)
            results.append(Result(f"sex: {name}, group - all", gap, "±", bar, clips, by_chance, published))
    return results


def _unlabelled(
    column: str, prediction: np.ndarray, values: np.ndarray, mean_bar: float, share_bar: float
) -> list[Result]:
    names, counts = np.unique(values, return_counts=True)
    if len(names) < 2:
        return []
    shares = np.bincount(in_bins(prediction), minlength=BINS) / len(prediction)
    means, gaps = [], []
    for name in names:
        own = prediction[values == name]
        means.append(own.mean() - prediction.mean())
        gaps.append(np.abs(np.bincount(in_bins(own), minlength=BINS) / len(own) - shares).max())
    mean, share = float(max(means, key=abs)), float(max(gaps))
    clips = f"{counts.min()} clips a group or more"
    return [
        Result(f"{column}: mean, group - all", mean, "±", mean_bar, clips),
        Result(f"{column}: share of a bin, group - all", share, "≤", share_bar, clips),
    ]
