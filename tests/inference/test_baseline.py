"""A speaker's own normal, and inertia over time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wav2small import Prediction, Wav2SmallError
from wav2small.inference.baseline import Baseline, RunningBaseline, hold

NOTHING = Prediction(*[float("nan")] * 3, 0, 1, speech=0.0, word="silence")


def turn(arousal: float, start: float = 0, word: str = "unsure") -> Prediction:
    return Prediction(arousal, 0.5, 0.5, start, start + 1, word=word)


def test_a_speaker_who_is_always_loud_is_ordinary_against_their_own_normal():
    loud = Baseline.of([turn(0.8 + i / 100) for i in range(-2, 3)])
    calm = Baseline.of([turn(0.3 + i / 100) for i in range(-2, 3)])
    assert loud(turn(0.8))[0] == pytest.approx(0, abs=1e-3) and calm(turn(0.8))[0] > 5
    assert loud.difference(turn(0.7))[0] == pytest.approx(-0.1, abs=1e-3)


def test_silence_has_no_part_in_a_baseline_and_no_place_against_it():
    normal = Baseline.of([turn(0.4), turn(0.5), NOTHING, turn(0.6)])
    assert normal.turns == 3 and normal.median[0] == pytest.approx(0.5)
    assert np.isnan(normal(NOTHING)).all()
    with pytest.raises(Wav2SmallError, match="3 turns with speech or more, not 2"):
        Baseline.of([turn(0.4), turn(0.5), NOTHING])


def test_a_running_baseline_compares_with_the_turns_before_and_forgets_old_ones():
    running = RunningBaseline(turns=3)
    assert [running.push(turn(0.3)) for _ in range(3)] == [None] * 3
    assert running.push(turn(0.5))[0] == pytest.approx(10, abs=0.1)  # the least spread is 0.02
    for _ in range(3):
        running.push(turn(0.5))
    assert running.push(turn(0.5))[0] == pytest.approx(0, abs=1e-3)


def test_a_word_of_two_seconds_does_not_show_and_one_that_stays_does():
    words = ["calm"] * 5 + ["tense"] * 2 + ["calm"] * 5 + ["tense"] * 8
    held = [one.word for one in hold([turn(0.5, i, word) for i, word in enumerate(words)], seconds=4)]
    assert held == ["calm"] * 16 + ["tense"] * 4


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.1, 10))
def test_numbers_glide_within_what_was_predicted(values, seconds):
    held = hold([turn(value, i) for i, value in enumerate(values)], seconds)
    assert len(held) == len(values)
    assert all(min(values) - 1e-6 <= one.arousal <= max(values) + 1e-6 for one in held)
    assert held[0].arousal == pytest.approx(values[0], abs=1e-6)


def test_silence_ends_the_inertia():
    first, nothing, after = hold([turn(0.2), NOTHING, turn(0.9, 2, "excited")])
    assert not nothing.spoken and after.arousal == pytest.approx(0.9) and after.word == "excited"
    with pytest.raises(Wav2SmallError, match="seconds=0"):
        hold([first], seconds=0)
