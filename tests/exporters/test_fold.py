"""The folded form of a student is the same function."""

import numpy as np
import pytest
import torch
from conftest import voice_like
from hypothesis import given, settings
from hypothesis import strategies as st
from students import lively, student, tcn, teacher

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


tcn_configs = st.fixed_dictionaries(
    {
        "window_length": st.sampled_from([200, 320, 400, 512]),
        "hop_length": st.sampled_from([80, 160, 250]),
        "f_min": st.sampled_from([0.0, 60.0]),
        "width": st.sampled_from([8, 12]),
        "stem_kernel": st.integers(1, 6),
        "stem_stride": st.integers(1, 3),
        "kernel_sizes": st.lists(st.integers(1, 7), min_size=2, max_size=2),
        "dilations": st.lists(st.integers(1, 4), min_size=2, max_size=2),
        "activation": st.sampled_from(["gelu", "hardswish", "relu"]),
        "branches": st.integers(1, 2),
        "maps": st.sampled_from([[], [4], [4, 8]]),
        "max_look_ahead": st.floats(0.04, 0.5),
    }
)


@settings(deadline=None, max_examples=15)
@given(tcn_configs, st.integers(1, 3), st.integers(600, 9000))
def test_a_folded_temporal_convolution_network_is_the_same_function(config, batch, samples):
    model = tcn(**config)
    audio = torch.from_numpy(np.stack([np.resize(voice_like(1, seed=i), samples) for i in range(batch)]))
    with torch.no_grad():
        expected, (logits, speech) = model(audio), fold(model)(audio)
    torch.testing.assert_close(logits, expected.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(speech, expected.speech, rtol=0, atol=1e-4)


@pytest.mark.parametrize("network", [student, tcn])
def test_folding_leaves_the_model_as_it_was(network):
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fold(model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_there_is_no_folded_teacher():
    with pytest.raises(Wav2SmallError, match="no folded form of adv_teacher"):
        fold(teacher())
