"""The share of speech is that of the detector, at any level, and 0 without speech."""

import numpy as np
import pytest
from conftest import RATE

from wav2small.inference.speech import detect_by_silero
from wav2small.models.audio import read_audio
from wav2small_training.data.speech import CHUNK, speech_share


def test_speech_is_found_at_any_level_and_silence_and_noise_are_not(speech):
    clip = read_audio(sorted((speech / "emodb").rglob("*.flac"))[0])[: 2 * RATE]
    shares = [detect_by_silero(gain * clip).mean() for gain in (1.0, 0.01)]
    assert min(shares) > 0.6 and shares[0] == pytest.approx(shares[1], abs=0.02)
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert not detect_by_silero(noise).any() and not detect_by_silero(np.zeros(RATE, np.float32)).any()


def test_a_crop_has_the_share_of_its_own_chunks():
    spoken = np.array([False, True, True, False])
    assert speech_share(spoken, 0, 4 * CHUNK) == 0.5
    assert speech_share(spoken, CHUNK, 2 * CHUNK) == 1
    assert speech_share(spoken, 3 * CHUNK, 10) == 0
