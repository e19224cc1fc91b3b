"""Augmentation does what it is called, in the measure it is set to, and the same for the same draw."""

import numpy as np
import pytest
import soundfile
from conftest import RATE, voice_like

from wav2small_training.augment import Augment
from wav2small_training.recipe import Augmentation


def changed(settings: dict, clip: np.ndarray, other: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    return Augment(Augmentation(**settings))(clip, other, np.random.default_rng(seed))


def snr_db(clip: np.ndarray, noisy: np.ndarray) -> float:
    return 10 * np.log10(np.square(clip).mean() / np.square(noisy - clip).mean())


@pytest.fixture
def folders(tmp_path):
    """A noise and a room: a click and an echo after 10 ms."""
    for name in ("noise", "rooms"):
        (tmp_path / name).mkdir()
    random = np.random.default_rng(0)
    soundfile.write(tmp_path / "noise" / "n.wav", random.uniform(-0.5, 0.5, 5 * RATE), RATE)
    echo = np.zeros(1600)
    echo[0], echo[160] = 0.9, 0.5
    soundfile.write(tmp_path / "rooms" / "r.wav", echo, RATE)
    licences = {"noise_licence": "CC0-1.0", "rooms_licence": "CC0-1.0"}
    return {"noise_folder": str(tmp_path / "noise"), "rooms_folder": str(tmp_path / "rooms"), **licences}


def test_nothing_is_changed_when_all_is_off():
    clip = voice_like(1)
    np.testing.assert_array_equal(changed({}, clip), clip)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.0])
def test_a_second_clip_is_mixed_at_the_level_that_was_drawn(seconds):
    clip, other = voice_like(1), voice_like(seconds, seed=1)
    mixed = changed({"mix": 1, "mix_snr_db": (6, 6)}, clip, other)
    assert len(mixed) == len(clip)
    assert snr_db(clip, mixed) == pytest.approx(6, abs=0.1)


def test_a_silent_second_clip_changes_nothing():
    clip = voice_like(1)
    np.testing.assert_array_equal(changed({"mix": 1}, clip, np.zeros(RATE, np.float32)), clip)


def test_mixing_happens_as_often_as_it_is_set_to():
    augment, random = Augment(Augmentation(mix=0.3)), np.random.default_rng(0)
    assert np.mean([augment.mixes(random) for _ in range(3000)]) == pytest.approx(0.3, abs=0.03)


def test_noise_comes_at_the_level_that_was_drawn(folders):
    clip = voice_like(1)
    noisy = changed({"noise": 1, "noise_snr_db": (10, 10), **folders}, clip)
    assert snr_db(clip, noisy) == pytest.approx(10, abs=0.5)


def test_a_room_adds_its_echo(folders):
    clip = voice_like(1)
    wet = changed({"rooms": 1, **folders}, clip)
    expected = clip.copy()
    expected[160:] += 0.5 / 0.9 * clip[:-160]
    assert len(wet) == len(clip)
    assert np.corrcoef(wet, expected)[0, 1] > 0.999


def test_level_changes_within_its_range():
    clip = voice_like(1)
    changes = [changed({"level": 1, "level_db": (-12, 6)}, clip, seed=i) for i in range(50)]
    gains = [20 * np.log10(change.std() / clip.std()) for change in changes]
    assert -12.01 < min(gains) < -8 and 2 < max(gains) < 6.01


def test_a_band_limit_takes_energy_from_the_edges_of_the_spectrum():
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
    before = np.abs(np.fft.rfft(noise)) ** 2
    for seed in range(10):
        after = np.abs(np.fft.rfft(changed({"band_limit": 1}, noise, seed=seed))) ** 2
        edges, middle = np.r_[0:40, 7900:8001], np.argmax(after)
        assert after[edges].sum() < 0.7 * before[edges].sum()
        assert after[middle] > 0.5 * before[middle], "the passed band keeps its level"


def test_clipping_flattens_the_peaks():
    clip = voice_like(1)
    shares = []
    for seed in range(10):
        clipped = changed({"clipping": 1}, clip, seed=seed)
        assert np.abs(clipped).max() <= np.abs(clip).max()
        shares.append(np.mean(np.abs(clipped) >= 0.999 * np.abs(clipped).max()))
    assert max(shares) > 0.05


def test_the_same_draw_gives_the_same_change(folders):
    settings = {"noise": 0.8, "rooms": 0.5, "level": 0.5, "clipping": 0.5, "band_limit": 0.5, **folders}
    clip = voice_like(1)
    for seed in range(5):
        np.testing.assert_array_equal(changed(settings, clip, seed=seed), changed(settings, clip, seed=seed))
    assert not np.array_equal(changed(settings, clip, seed=1), changed(settings, clip, seed=2))
