"""The average of the weights forgets the random start at once, and then averages as long as its decay says."""

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from wav2small_training.distillation.ema import ema_update, share_of_start


def averaged(steps: int, decay: float) -> float:
    """Average of a weight that is 1 in the first step and 0 ever after."""
    model = torch.nn.Linear(1, 1, bias=False)
    average = AveragedModel(model, multi_avg_fn=ema_update(decay), use_buffers=True)
    for step in range(steps):
        torch.nn.init.constant_(model.weight, float(step == 0))
        average.update_parameters(model)
    return average.module.weight.item()


@pytest.mark.parametrize(("steps", "decay"), [(1, 0.995), (10, 0.995), (100, 0.995), (30, 0.5), (5, 0.0)])
def test_what_is_left_of_the_first_step_is_what_the_report_says(steps, decay):
    assert averaged(steps, decay) == pytest.approx(share_of_start(steps, decay), abs=1e-6)


def test_a_hundred_steps_forget_the_start_however_large_the_decay():
    assert share_of_start(100, 0.9999) < 1e-4 < 0.5 < 0.9999**100


def test_a_late_average_decays_as_it_is_set_to():
    assert share_of_start(200, 0.9) / share_of_start(199, 0.9) == pytest.approx(0.9)
