"""Norms of emotion words become labels on the scale of the models."""

import numpy as np
import pytest

from wav2small_training.data.norms import RUSSELL_MEHRABIAN, WARRINER, emotion_norm


def test_norms_are_a_d_v_on_a_scale_of_0_to_1():
    np.testing.assert_allclose(emotion_norm("anger"), [0.795, 0.625, 0.245])  # .59, .25, -.51 on -1..1
    np.testing.assert_allclose(emotion_norm("realization"), [0.33375, 0.585, 0.6775])  # 3.67, 5.68, 6.42 on 1..9
    np.testing.assert_allclose(emotion_norm("neutral"), [0.5, 0.5, 0.5])  # the middle of the scale
    for word in (*RUSSELL_MEHRABIAN, *WARRINER):
        assert ((emotion_norm(word) >= 0) & (emotion_norm(word) <= 1)).all(), word
    with pytest.raises(KeyError):
        emotion_norm("schadenfreude")
