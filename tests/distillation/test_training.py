"""The pieces of training: norms, agreement, losses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wav2small_training.data.norms import RUSSELL_MEHRABIAN, WARRINER, adv
from wav2small_training.distillation.losses import ccc_loss
from wav2small_training.metrics import ccc, pearson


def test_norms_are_a_d_v_on_a_scale_of_0_to_1():
    np.testing.assert_allclose(adv("anger"), [0.795, 0.625, 0.245])  # .59, .25, -.51 on -1..1
    np.testing.assert_allclose(adv("realization"), [0.33375, 0.585, 0.6775])  # 3.67, 5.68, 6.42 on 1..9
    np.testing.assert_allclose(adv("neutral"), [0.5, 0.5, 0.5])  # the middle of the scale
    for word in (*RUSSELL_MEHRABIAN, *WARRINER):
        assert ((adv(word) >= 0) & (adv(word) <= 1)).all(), word
    with pytest.raises(KeyError):
        adv("schadenfreude")


pairs = st.integers(2, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, 2**31), st.floats(0.05, 1.5)))


@settings(deadline=None)
@given(pairs)
def test_ccc_and_pearson_equal_their_definitions(pair):
    clips, seed, spread = pair
    random = np.random.default_rng(seed)
    target = random.uniform(0, 1, (clips, 3))
    prediction = spread * target + 0.2 * random.standard_normal((clips, 3)) + 0.1
    for i in range(3):
        x, y = prediction[:, i], target[:, i]
        r = np.corrcoef(x, y)[0, 1]
        expected = 2 * r * x.std() * y.std() / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert pearson(prediction, target)[i] == pytest.approx(r, abs=1e-9)
        assert ccc(prediction, target)[i] == pytest.approx(expected, abs=1e-9)
    loss = ccc_loss(torch.from_numpy(prediction), torch.from_numpy(target)).item()
    assert loss == pytest.approx(1 - ccc(prediction, target).mean(), abs=1e-5)


def test_the_loss_is_zero_for_equal_and_two_for_opposite():
    target = torch.rand(64, 3, dtype=torch.float64)
    assert ccc_loss(target, target).item() == pytest.approx(0, abs=1e-6)
    assert ccc_loss(2 * target.mean(0) - target, target).item() == pytest.approx(2, abs=1e-5)
