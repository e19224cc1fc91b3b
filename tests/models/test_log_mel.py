"""The front end is a real log-mel spectrogram, in every way a model comes to be."""

import numpy as np
import pytest
import torch
from conftest import voice_like
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import wav2small as reference
from transformers import AutoModelForAudioClassification

from wav2small import Wav2SmallConfig, Wav2SmallForAudioClassification
from wav2small.models.log_mel import LogMel, normalize


def front_end(n_fft: int = 64, hop: int = 32, bands: int = 26) -> LogMel:
    return LogMel(16000, n_fft, hop, bands, 0, 8000)


@pytest.mark.parametrize(("n_fft", "hop", "bands"), [(64, 32, 26), (144, 72, 26), (512, 160, 64)])
def test_equals_an_independent_fft_and_slaney_mel(n_fft, hop, bands):
    waveform = voice_like(0.3) / 0.05
    ours = front_end(n_fft, hop, bands)(torch.from_numpy(waveform)[None])[0].numpy()
    theirs = reference.log_mel(waveform.astype(np.float64), n_fft, hop, bands)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=0.01)  # dB; float32 against float64


def test_digital_silence_is_minus_100_db():
    assert torch.all(front_end()(torch.zeros(1, 640)) == -100)


def test_the_constants_do_not_learn():
    assert not any(parameter.requires_grad for parameter in front_end().parameters())


def test_a_model_built_on_the_meta_device_and_loaded_has_the_dft(tmp_path):
    model = Wav2SmallForAudioClassification(Wav2SmallConfig())
    model.save_pretrained(tmp_path)
    loaded = Wav2SmallForAudioClassification.from_pretrained(tmp_path)
    made = AutoModelForAudioClassification.from_config(Wav2SmallConfig())
    for other in (loaded, made):
        for name, value in model.log_mel.state_dict().items():
            assert torch.equal(other.log_mel.state_dict()[name], value), f"{name} differs"


def test_weights_without_the_front_end_still_get_the_dft(tmp_path):
    model = Wav2SmallForAudioClassification(Wav2SmallConfig())
    weights = {key: value for key, value in model.state_dict().items() if not key.startswith("log_mel")}
    model.save_pretrained(tmp_path, state_dict=weights)
    loaded = Wav2SmallForAudioClassification.from_pretrained(tmp_path)
    assert torch.equal(loaded.log_mel.conv_real.weight, model.log_mel.conv_real.weight)
    assert torch.equal(loaded.log_mel.mel, model.log_mel.mel)


@settings(deadline=None, max_examples=25)
@given(samples=st.integers(64, 5000), padding=st.integers(0, 5000), gain=st.floats(0.01, 100))
def test_normalisation_ignores_padding_level_and_offset(samples, padding, gain):
    clip = torch.from_numpy(voice_like(1, seed=samples)[:samples].copy() + np.float32(0.1))[None]
    clip = clip * (0.05 / clip.std())
    padded = torch.nn.functional.pad(clip * gain, (0, padding), value=3.0)
    mask = torch.nn.functional.pad(torch.ones_like(clip), (0, padding))
    alone, inside = normalize(clip), normalize(padded, mask)
    assert torch.all(inside[:, samples:] == 0)
    # the floor under the variance keeps silence at zero; at this level it changes less than 1 %
    assert torch.allclose(inside[:, :samples], alone, atol=0.02 * (1 + 1 / gain))
    assert abs(alone.mean()) < 1e-4
