"""Norms of emotion words become labels on the scale of the models."""

import numpy as np
import pytest

from wav2small_training.data.norms import RUSSELL_MEHRABIAN, WARRINER, adv


def test_norms_are_a_d_v_on_a_scale_of_0_to_1():
    np.testing.assert_allclose(adv("anger"), [0.795, 0.625, 0.245])  # .59, .25, -.51 on -1..1
    np.testing.assert_allclose(adv("realization"), [0.33375, 0.585, 0.6775])  # 3.67, 5.68, 6.42 on 1..9
    np.testing.assert_allclose(adv("neutral"), [0.5, 0.5, 0.5])  # the middle of the scale
    for word in (*RUSSELL_MEHRABIAN, *WARRINER):
        assert ((adv(word) >= 0) & (adv(word) <= 1)).all(), word
    with pytest.raises(KeyError):
        adv("schadenfreude")
