"""A handful of rated clips moves the predictions for a speaker towards the ratings."""

import math

import numpy as np
import pytest

import wav2small
from wav2small import Wav2SmallError
from wav2small.inference.rated_clips import PRIOR, shift

CLIP = "sadness_emodb14.flac"


def test_rated_clips_move_the_predictions_towards_the_ratings(examples):
    predictor, clip = wav2small.load(), examples / CLIP
    before = predictor(clip)
    rating = np.clip(before.as_array() + np.array([0.2, 0.1, -0.1]), 0, 1)
    after = predictor.calibrated([(clip, rating)] * 6)(clip)
    expected = before.as_array() + 6 / (6 + PRIOR) * (rating - before.as_array())
    assert after.as_array() == pytest.approx(expected, abs=1e-5)
    assert predictor(clip) == before, "the predictor itself has changed"
    assert predictor.calibrated([(clip, rating)]).logits(clip) == pytest.approx(predictor.logits(clip)), (
        "not the network"
    )


def test_the_interval_moves_with_the_prediction(examples):
    predictor, clip = wav2small.load(), examples / CLIP
    after = predictor.calibrated([(clip, (1.0, 1.0, 1.0))])(clip)
    low, high = after.interval("valence")
    assert low < after.valence < high


def test_what_was_not_rated_stays_as_it_is(examples):
    predictor, clip = wav2small.load(), examples / CLIP
    after = predictor.calibrated([(clip, (1.0, math.nan, math.nan))])(clip)
    before = predictor(clip)
    assert after.arousal > before.arousal and after.valence == pytest.approx(before.valence)


def test_more_rated_clips_count_more():
    moved = [shift(np.full((clips, 3), 0.5), [(1, 1, 1)] * clips)[0] for clips in (1, 3, 10)]
    assert moved == sorted(moved) and moved[-1] < 0.5


@pytest.mark.parametrize("rating", [(1.2, 0.5, 0.5), (0.5, 0.5), (-0.1, 0.5, 0.5)])
def test_a_rating_that_is_none_is_an_error(examples, rating):
    with pytest.raises(Wav2SmallError, match="each from 0 to 1"):
        wav2small.load().calibrated([(examples / CLIP, rating)])


def test_clips_without_speech_cannot_calibrate(examples):
    for ratings in ([], [(examples / "silence.flac", (0.5, 0.5, 0.5))]):
        with pytest.raises(Wav2SmallError, match="name at least one"):
            wav2small.load().calibrated(ratings)
