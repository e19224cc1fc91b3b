"""The folded form of a student is the same function."""

import numpy as np
import pytest
import torch
from conftest import voice_like
from hypothesis import given, settings
from hypothesis import strategies as st
from students import lively, student, teacher

from wav2small import Wav2SmallError
from wav2small.models.modeling_mobilenet_adv import MobileNetAdvConfig, MobileNetAdvForAudioClassification
from wav2small_training.exporters.fold import fold


def assert_same(model, batch: int, samples: int) -> None:
    audio = torch.from_numpy(np.stack([np.resize(voice_like(1, seed=i), samples) for i in range(batch)]))
    with torch.no_grad():
        expected, got = model(audio).logits.numpy(), fold(model)(audio).numpy()
    assert got.shape == (batch, 3)
    np.testing.assert_allclose(got, expected, atol=1e-4 * max(1, np.abs(expected).max()))


configs = st.fixed_dictionaries(
    {
        "n_fft": st.sampled_from([32, 64, 144]),
        "hop_length": st.sampled_from([16, 32, 40]),
        "n_mels": st.sampled_from([8, 26]),
        "f_min": st.sampled_from([0.0, 60.0, 250.0]),
        "f_max": st.sampled_from([7000.0, 8000.0]),
        "channels": st.integers(1, 9),
        "pooling": st.sampled_from(["token", "gram"]),
    }
)


@settings(deadline=None, max_examples=15)
@given(configs, st.integers(1, 3), st.integers(200, 3000))
def test_a_folded_wav2small_is_the_same_function(config, batch, samples):
    assert_same(student(**config), batch, samples)


@pytest.mark.parametrize("pooling", ["token", "gram"])
def test_a_folded_wav2small_of_full_size_is_the_same_function(pooling):
    assert_same(student(pooling=pooling), 2, 12345)


@pytest.mark.parametrize("backbone", ["mobilenetv3_small_100", "mobilenetv4_conv_small"])
def test_the_folded_mobilenet_is_the_same_function(backbone):
    torch.manual_seed(0)
    assert_same(lively(MobileNetAdvForAudioClassification(MobileNetAdvConfig(backbone=backbone))), 2, 9000)


def test_folding_leaves_the_model_as_it_was():
    model = student()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fold(model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_there_is_no_folded_teacher():
    with pytest.raises(Wav2SmallError, match="no folded form of adv_teacher"):
        fold(teacher())
