"""Rated speech of people that a checkpoint was not trained on -> its intervals, and how often they hold elsewhere.

Of a corpus with a column `split`, the clips of "validation" count, which recipes train on nowhere. Ratings are columns
arousal, dominance and valence (0 to 1) of metadata.csv; where there are none, norms of the words in its column emotion.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wav2small.inference.intervals import GROUPS, QUANTILES, Errors, Intervals, group, tails
from wav2small.inference.predictor import Predictor
from wav2small.inference.speech import level_range
from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError

from ..data.corpora import open_rows, waveform
from ..evenly import evenly
from ..recipe import Corpus
from ..tables import grid
from .conditions import AS_RECORDED, Condition, Random, Recordings, add, conditions, pink_noise
from .ratings import Norms, Ratings

CROPS = (0.5, 1.5, 5.0)  # s, from the middle of each clip
CLIPS = 150  # of a folder, evenly chosen
FEWEST = 20  # clips of which the tails of a group can be told; a smaller group has the errors of all
FOLDS = 10  # of speakers
NOISE_DB = (0.0, 20.0)  # signal above pink noise
NOISE = "pink noise of 0 to 20 dB"
ELSEWHERE = ("telephone", "babble 20 dB")  # conditions that nothing is measured on


def in_noise(waveform: np.ndarray, random: Random) -> np.ndarray:
    """Add pink noise at a ratio that the clip's id chooses."""
    return add(waveform, pink_noise(len(waveform), random), random.uniform(*NOISE_DB))


MEASURED = (AS_RECORDED, Condition(NOISE, in_noise))


@dataclass(frozen=True)
class RatedCrops:
    """What a checkpoint says of rated speech.

    Attributes:
        errors: (crops, 3): rating minus prediction; NaN without a rating.
        groups: (crops,): of `wav2small.inference.intervals.group`.
        speakers: (crops,) str.
        conditions: (crops,) str: names of conditions.
        clips: number of clips.
        ratings: what stands for them.
    """

    errors: np.ndarray
    groups: np.ndarray
    speakers: np.ndarray
    conditions: np.ndarray
    clips: int
    ratings: str


def is_rated(folder: Path) -> bool:
    """Whether a folder has ratings, or words that stand for them."""
    row = next(iter(open_rows(Corpus(source=str(folder), licence="unknown"))))
    return "emotion" in row or all(label in row for label in LABELS)


def predict_rated(predictor: Predictor, folder: Path, names: Iterable[str]) -> RatedCrops:
    """Predict crops of the rated clips of a folder, in the conditions of these names.

    Raises:
        Wav2SmallError: if it has no ratings, or no column `speaker`.
    """
    corpus = Corpus(source=str(folder), licence="unknown")
    rows = [row for row in open_rows(corpus) if row.get("split", "validation") != "train"]
    if not rows or "speaker" not in rows[0] or not is_rated(folder):
        raise Wav2SmallError(
            f"{folder} needs a metadata.csv with the columns speaker and emotion, or speaker, {', '.join(LABELS)}, "
            "and clips that are not of the split train"
        )
    by_people = all(label in rows[0] for label in LABELS)
    target = (Ratings(dict(zip(LABELS, LABELS, strict=True))) if by_people else Norms("emotion")).of(corpus)
    rows = evenly(rows, CLIPS)
    clips = [waveform(row, corpus) for row in rows]
    known = {one.name: one for one in (*MEASURED, *conditions(Recordings(voices=clips)))}
    errors, groups, speakers, used = [], [], [], []
    for row, clip in zip(rows, clips, strict=True):
        try:
            rating = target(row, clip)
        except Wav2SmallError:  # a word without a norm
            continue
        for name in (each for each in names if each in known):  # babble needs more clips than some folders have
            changed = known[name](clip, row["id"])
            for crop in crops(changed):
                prediction = predictor((crop, SAMPLING_RATE))
                if prediction.spoken and not np.isnan(rating).all():
                    seconds = prediction.speech * (prediction.end - prediction.start)
                    errors.append(rating - prediction.as_array())
                    groups.append(group(seconds, level_range(crop)))
                    speakers.append(row["speaker"])
                    used.append(name)
    ratings = "people's ratings" if by_people else "norms of the acted emotions stand for ratings"
    return RatedCrops(
        np.array(errors).reshape(-1, 3), np.array(groups), np.array(speakers), np.array(used), len(clips), ratings
    )


def crops(clip: np.ndarray) -> list[np.ndarray]:
    """The middle of a clip (samples,), in all lengths that it has, and the whole of a shorter one."""
    lengths = [round(seconds * SAMPLING_RATE) for seconds in CROPS]
    fitting = [each for each in lengths if each < len(clip)] + [min(len(clip), lengths[-1])]
    return [clip[(len(clip) - each) // 2 :][:each] for each in sorted(set(fitting))]


def quantiles(errors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(6, 3, 6): QUANTILES of errors (crops, 3) by group; of two neighbours the outer one.

    An interval reaches to the prediction, whatever the errors: who errs to one side here may not elsewhere.

    Raises:
        Wav2SmallError: if there are fewer than 20 crops.
    """
    if len(errors) < FEWEST:
        raise Wav2SmallError(f"{len(errors)} rated crops with speech: at least {FEWEST} are needed for intervals")
    result = []
    for each in range(GROUPS):
        chosen = errors[groups == each]
        chosen = errors if len(chosen) < FEWEST else chosen
        outer = [np.nanquantile(chosen, q, axis=0, method="lower" if q < 0.5 else "higher") for q in QUANTILES]
        result.append(np.array(outer).T)  # (dimensions, quantiles)
    low, high = np.split(np.array(result), 2, axis=2)
    return np.concatenate([np.minimum(low, 0), np.maximum(high, 0)], axis=2)


def held(crops: RatedCrops, intervals: Intervals, chosen: np.ndarray) -> np.ndarray:
    """(chosen crops, 3) bool: whether the interval of 80 % holds the rating."""
    low, high = tails(0.8)
    errors: list[Errors] = [intervals.errors[each] for each in crops.groups[chosen]]
    bounds, values = np.array(errors).reshape(-1, 3, len(QUANTILES)), crops.errors[chosen]
    return np.asarray((bounds[:, :, low] <= values) & (values <= bounds[:, :, high]))


def measure_intervals(predictor: Predictor, folder: Path, others: list[Path]) -> Intervals:
    """Measure the intervals of a checkpoint, and what they hold for other speakers, conditions and corpora.

    Args:
        predictor: the checkpoint.
        folder: of rated speech of people that it was not trained on.
        others: folders to check the coverage on, where they are rated.

    Raises:
        Wav2SmallError: if a recording cannot be read, or there are too few.
    """
    name, measured = folder.resolve().name, [one.name for one in MEASURED]
    rated = predict_rated(predictor, folder, [*measured, *ELSEWHERE])
    used = np.isin(rated.conditions, measured)
    people = np.unique(rated.speakers)
    inside = np.zeros(rated.errors.shape, bool)  # by intervals of the other speakers
    for fold in np.array_split(people, min(FOLDS, len(people))) if len(people) > 1 else []:
        own = np.isin(rated.speakers, fold)
        rest = Intervals.of(quantiles(rated.errors[used & ~own], rated.groups[used & ~own]), "")
        inside[own] = held(rated, rest, own)
    checked = []
    if len(people) > 1:
        checked.append(_record(f"{name}, other speakers", inside[used]))
        for each in ELSEWHERE:
            checked.append(_record(f"{name}, other speakers, {each}", inside[rated.conditions == each]))
    result = Intervals.of(
        quantiles(rated.errors[used], rated.groups[used]),
        f"rating minus prediction for crops of {CROPS[0]:g} to {CROPS[-1]:g} s, as recorded and in {NOISE}: "
        f"{rated.clips} clips of {len(people)} speakers of {name}; {rated.ratings}",
    )
    for other in others:
        if other.resolve() != folder.resolve() and is_rated(other):
            found = predict_rated(predictor, other, [AS_RECORDED.name, ELSEWHERE[0]])
            for each in (AS_RECORDED.name, ELSEWHERE[0]):
                there = found.conditions == each
                checked.append(_record(f"{other.resolve().name}, {each}", held(found, result, there)))
    return Intervals(result.errors, result.measured_on, tuple(one for one in checked if one["crops"]))


def _record(on: str, inside: np.ndarray) -> dict[str, str | int]:
    shares = (100 * inside.mean(axis=0)).round().astype(int).tolist() if len(inside) else [0, 0, 0]
    return {"on": on, "crops": len(inside), **dict(zip(LABELS, shares, strict=True))}


def coverage_table(intervals: Intervals) -> str:
    """How many ratings the intervals of 80 % held, in percent, as Markdown."""
    rows = [[str(one[column]) for column in ("on", "crops", *LABELS)] for one in intervals.checked]
    return grid(["in the interval of 80 %, %", "crops", *LABELS], rows, True)
