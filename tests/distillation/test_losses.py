"""The loss of distillation equals its definition, in one process and in two."""

import json

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import result

from wav2small_training.distillation.losses import DistillationLoss, ccc_loss
from wav2small_training.metrics import ccc
from wav2small_training.recipe import Loss


@settings(deadline=None)
@given(st.integers(2, 200), st.integers(0, 2**31), st.floats(0.05, 1.5))
def test_the_ccc_loss_is_one_minus_the_mean_ccc(clips, seed, spread):
    random = np.random.default_rng(seed)
    target = random.uniform(0, 1, (clips, 3))
    prediction = spread * target + 0.2 * random.standard_normal((clips, 3)) + 0.1
    loss = ccc_loss(torch.from_numpy(prediction), torch.from_numpy(target)).item()
    assert loss == pytest.approx(1 - ccc(prediction, target).mean(), abs=1e-5)


def test_the_loss_is_zero_for_equal_and_two_for_opposite():
    target = torch.rand(64, 3, dtype=torch.float64)
    assert ccc_loss(target, target).item() == pytest.approx(0, abs=1e-6)
    assert ccc_loss(2 * target.mean(0) - target, target).item() == pytest.approx(2, abs=1e-5)


def test_the_loss_weighs_ccc_and_l2():
    prediction, target = torch.rand(16, 3), torch.rand(16, 3)
    loss = DistillationLoss(Loss(ccc=2, l2=3), Accelerator(cpu=True))(prediction, target)
    expected = 2 * ccc_loss(prediction, target) + 3 * (prediction - target).square().mean()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_clips_without_a_target_do_not_count():
    loss = DistillationLoss(Loss(), Accelerator(cpu=True))
    prediction, target = torch.rand(16, 3, requires_grad=True), torch.rand(16, 3)
    target[3], target[7, 1] = torch.nan, torch.nan
    known = [i for i in range(16) if i not in (3, 7)]
    assert loss(prediction, target).item() == pytest.approx(loss(prediction[known], target[known]).item(), abs=1e-6)
    loss(prediction, target).backward()
    assert prediction.grad is not None and not prediction.grad[[3, 7]].any() and prediction.grad[known].all()
    assert loss(prediction, torch.full((16, 3), torch.nan)).item() == 0


def test_the_share_of_speech_adds_its_cross_entropy_where_it_is_known():
    loss = DistillationLoss(Loss(speech=0.5), Accelerator(cpu=True))
    prediction, target, speech = torch.rand(8, 3), torch.rand(8, 3), torch.rand(8, 1)
    share = torch.tensor([0.0, 1.0, 0.3, torch.nan, 0.8, torch.nan, 0.0, 0.5])
    known = ~share.isnan()
    expected = torch.nn.functional.binary_cross_entropy(speech[known, 0], share[known])
    added = loss(prediction, target, speech, share) - loss(prediction, target)
    assert added.item() == pytest.approx(0.5 * expected.item(), abs=1e-5)
    certain = torch.tensor([[0.0], [1.0]])
    assert loss(prediction[:2], target[:2], certain, certain[:, 0]).isfinite()


def linear_batch() -> tuple[torch.nn.Linear, torch.Tensor, torch.Tensor]:
    """A layer, a batch of 8 and its targets, the same in every process."""
    generator = torch.Generator().manual_seed(0)
    x, target = torch.randn(8, 4, generator=generator), torch.rand(8, 3, generator=generator)
    torch.manual_seed(1)
    return torch.nn.Linear(4, 3), x, target


def loss_of_a_half() -> None:
    """Print the loss and the gradient of one of two processes, each with half of the batch."""
    accelerator = Accelerator()
    net, x, target = linear_batch()
    net = accelerator.prepare(net)
    half = slice(4 * accelerator.process_index, 4 * accelerator.process_index + 4)
    loss = DistillationLoss(Loss(ccc=1, l2=0.5), accelerator)(net(x[half]), target[half])
    accelerator.backward(loss)
    if accelerator.is_main_process:
        weight = accelerator.unwrap_model(net).weight
        print(json.dumps([loss.item() / accelerator.num_processes, weight.grad.tolist()]), flush=True)  # noqa: T201
    accelerator.wait_for_everyone()
    del net  # before the process group, as in distill
    accelerator.free_memory()
    accelerator.end_training()


def test_the_loss_of_two_processes_is_that_of_the_whole_batch_and_so_is_its_gradient():
    loss, gradient = result(loss_of_a_half, processes=2)
    net, x, target = linear_batch()
    expected = ccc_loss(net(x), target) + 0.5 * (net(x) - target).square().mean()
    expected.backward()
    assert loss == pytest.approx(expected.item(), abs=1e-6)
    torch.testing.assert_close(torch.tensor(gradient), net.weight.grad, rtol=1e-4, atol=1e-6)
