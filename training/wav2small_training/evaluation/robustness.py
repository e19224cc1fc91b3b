"""The published robustness tests of arousal, dominance and valence: parameters, bars and reference values as data.

Tests and bars are those of audeering/ser-tests (`docs/method-tests.rst` and `test/<dimension>/robustness_*.yaml`). The
reference values are that suite's own results on MSP-Podcast Test-1 (for the room: TIMIT), for two models trained on
human labels: CNN14, the conventional baseline, and a 24-layer wav2vec2-large-robust. They were measured on other data
and, where a condition has a note, with other recordings: a frame for our values, not a ranking.
"""

from dataclasses import dataclass, field

import numpy as np

from wav2small.models.adv import LABELS

from ..metrics import ccc, unchanged

REFERENCES = ("CNN14", "w2v2-L-robust")
Pair = tuple[float | None, float | None]  # values of the two reference models; None where not known
Published = dict[str, Pair]  # by dimension
UNPUBLISHED: Pair = (None, None)


@dataclass(frozen=True)
class Trial:
    """One published test: it passes a dimension when the measure is at least the bar.

    Attributes:
        group: heading of the published protocol.
        condition: name of the condition that it needs, see `conditions`.
        measure: "unchanged" (share of clips whose prediction moves by less than .05) or "CCC change" (to the ratings).
        bar: of the measure.
        published: values of the reference models.
    """

    group: str
    condition: str
    measure: str
    bar: float
    published: Published = field(default_factory=dict)


def _pairs(arousal: Pair = UNPUBLISHED, dominance: Pair = UNPUBLISHED, valence: Pair = UNPUBLISHED) -> Published:
    return dict(zip(LABELS, (arousal, dominance, valence), strict=True))


SMALL: tuple[tuple[str, Published], ...] = (
    ("tone 5-7 kHz", _pairs((0.92, 0.99))),
    ("zeros before", {}),
    ("zeros after", {}),
    ("cropped start", {}),
    ("cropped end", {}),
    ("clipped .1-.3 %", {}),
    ("gain 1-2 dB", _pairs((0.98, None))),
    ("high pass 50-150 Hz", _pairs((0.99, None))),
    ("low pass 6.5-7.5 kHz", {}),
    ("white noise 35-45 dB", _pairs((0.73, 0.92), valence=(0.60, 0.96))),
)
BACKGROUND: tuple[tuple[str, Published, Published], ...] = (
    ("babble 20 dB", _pairs((0.58, 0.94), (0.73, 0.97), (0.40, 0.76)), {}),
    ("environment 20 dB", _pairs((0.64, 0.91), (0.71, 0.90), (0.46, 0.85)), {}),
    ("music 20 dB", _pairs((0.64, 0.94), valence=(0.40, 0.86)), {}),
    ("coughing 10 dB", _pairs((0.70, 0.74)), {}),
    ("sneezing 10 dB", _pairs((0.64, 0.68)), {}),
    (
        "white noise 20 dB",
        _pairs((0.39, 0.60), (0.47, 0.44), (0.23, 0.64)),
        _pairs((-0.17, -0.06)),
    ),
)
TESTS = (
    *(Trial("small changes", condition, "unchanged", 0.95, published) for condition, published in SMALL),
    *(Trial("background noise", condition, "unchanged", 0.9, published) for condition, published, _ in BACKGROUND),
    *(Trial("background noise", condition, "CCC change", -0.05, published) for condition, _, published in BACKGROUND),
    Trial("low quality phone", "telephone", "unchanged", 0.5, _pairs((0.33, 0.72), (0.32, 0.61), (0.29, 0.70))),
    Trial("low quality phone", "telephone", "CCC change", -0.05, _pairs(valence=(-0.16, None))),
    Trial("spectral tilt", "tilt up", "unchanged", 0.8, _pairs((0.36, 0.81), (0.42, 0.90), (0.25, 0.86))),
    Trial("spectral tilt", "tilt up", "CCC change", -0.05, _pairs((-0.12, None))),
    Trial("spectral tilt", "tilt down", "unchanged", 0.8, _pairs((0.47, 0.97), valence=(0.39, 0.92))),
    Trial("spectral tilt", "tilt down", "CCC change", -0.05),
    Trial("simulated room", "room", "unchanged", 0.8, _pairs((0.34, 0.72), (0.41, 0.77), (0.30, 0.66))),
)
NOT_MEASURED = {
    "microphones": "needs the same speech recorded by several microphones",
    "simulated position": "needs impulse responses of one room at several places (MARDY)",
}
NEEDS = {  # condition -> what it needs
    "babble 20 dB": "needs at least 8 readable clips in the data",
    "environment 20 dB": "needs a folder of noise",
    "music 20 dB": "needs a folder of noise whose metadata.csv has the category music",
    "coughing 10 dB": "needs a folder of noise whose metadata.csv has the category coughing",
    "sneezing 10 dB": "needs a folder of noise whose metadata.csv has the category sneezing",
    "room": "needs a folder of room impulse responses",
}


@dataclass(frozen=True)
class Result:
    """Outcome of a test: values and verdicts by dimension; a dimension without ratings has no CCC change."""

    test: Trial
    values: dict[str, float]
    passed: dict[str, bool]


def judge(predictions: dict[str, np.ndarray], target: np.ndarray, recorded: str) -> list[Result]:
    """Run the tests whose conditions were measured.

    Args:
        predictions: (clips, 3) by condition, the clips in the same order.
        target: (clips, 3), NaN where there is no rating.
        recorded: name of the condition that changes nothing.
    """
    results = []
    for test in TESTS:
        if test.condition not in predictions:
            continue
        values = {}
        for i, dimension in enumerate(LABELS):
            before, after = predictions[recorded][:, i], predictions[test.condition][:, i]
            rated = ~np.isnan(target[:, i])
            if test.measure == "unchanged":
                values[dimension] = float(unchanged(before, after))
            elif rated.any():
                truth = target[rated, i]
                values[dimension] = float(ccc(after[rated], truth) - ccc(before[rated], truth))
        passed = {dimension: value >= test.bar for dimension, value in values.items()}
        results.append(Result(test, values, passed))
    return results


def missing(measured: set[str]) -> dict[str, str]:
    """Published tests that were not run, each with the reason."""
    absent = {test.condition: NEEDS[test.condition] for test in TESTS if test.condition not in measured}
    return {**absent, **NOT_MEASURED}
