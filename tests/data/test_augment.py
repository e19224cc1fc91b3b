"""Augmentation does what it is called, in the measure it is set to, and the same for the same draw."""

from itertools import islice

import numpy as np
import pytest
import soundfile
from conftest import RATE, voice_like, write_corpus

from wav2small_training.data.augment import CODECS, COMPRESSION, Augment, coded, joined
from wav2small_training.data.mixture import Mixture
from wav2small_training.recipe import Augmentation, Corpus


def changed(settings: dict, clip: np.ndarray, other: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    augment, random = Augment(Augmentation(**settings)), np.random.default_rng(seed)
    clip = augment.change_voice(clip, random)
    if other is not None:
        clip = augment.add_second(clip, other, "mix", random)
    return augment.change_recording(clip, random)


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
    licences = {"noise_licence": "CC0-1.0", "rir_licence": "CC0-1.0"}
    return {"noise_folder": str(tmp_path / "noise"), "rir_folder": str(tmp_path / "rooms"), **licences}


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec[1])
def test_a_codec_keeps_the_length_and_the_speech(codec):
    clip = 3 * voice_like(1.37)
    clip[RATE // 2] = 2.5  # would clip
    for compression in COMPRESSION:
        again = coded(clip, codec, compression)
        assert again.shape == clip.shape and again.dtype == np.float32
        frames = (each[:21900].reshape(-1, 300) for each in (clip, again))
        spectra = [np.abs(np.fft.rfft(each))[:, :40].ravel() for each in frames]
        assert np.corrcoef(spectra)[0, 1] > 0.9
        assert not np.array_equal(again, clip)


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


def test_second_clips_are_mixed_and_joined_as_often_as_they_are_set_to():
    augment, random = Augment(Augmentation(mix=0.3, join=0.2)), np.random.default_rng(0)
    drawn = [augment.draw_second(random) for _ in range(3000)]
    assert drawn.count("mix") / 3000 == pytest.approx(0.3, abs=0.03)
    assert drawn.count("join") / 3000 == pytest.approx(0.2, abs=0.03)


def test_a_second_voice_takes_over_in_the_middle_at_the_same_level():
    clip, other = voice_like(2), 0.1 * voice_like(2, seed=1)
    for seed in range(10):
        both = joined(clip, other, np.random.default_rng(seed))
        same = np.flatnonzero(both[: len(clip)] != clip[: len(both)])[0]  # where the second voice begins
        assert 0.25 < same / len(clip) < 0.75 and len(both) <= len(clip)
        assert both[same:].std() == pytest.approx(clip.std(), rel=0.4)
    short = voice_like(2)[:100]
    np.testing.assert_array_equal(joined(clip, short, np.random.default_rng(0)), clip)


def test_noise_comes_at_the_level_that_was_drawn(folders):
    clip = voice_like(1)
    noisy = changed({"noise": 1, "noise_snr_db": (10, 10), **folders}, clip)
    assert snr_db(clip, noisy) == pytest.approx(10, abs=0.5)


def test_a_room_adds_its_echo(folders):
    clip = voice_like(1)
    wet = changed({"reverberation": 1, **folders}, clip)
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
    for each in (changed({"band_limit": 1}, noise, seed=seed) for seed in range(20)):
        after = np.abs(np.fft.rfft(each)) ** 2
        edges, middle = np.r_[0:40, 7900:8001], np.argmax(after)
        assert after[edges].sum() < 0.7 * before[edges].sum()
        assert after[middle] > 0.5 * before[middle], "the passed band keeps its level"


def test_a_share_of_the_recordings_stays_as_it_is():
    clip, settings = voice_like(0.2), {"clipping": 1, "level": 1, "unchanged": 0.3}
    same = [np.array_equal(changed(settings, clip, seed=seed), clip) for seed in range(200)]
    assert np.mean(same) == pytest.approx(0.3, abs=0.1)


def test_clipping_flattens_the_peaks():
    clip = voice_like(1)
    shares = []
    for seed in range(10):
        clipped = changed({"clipping": 1}, clip, seed=seed)
        assert np.abs(clipped).max() <= np.abs(clip).max()
        shares.append(np.mean(np.abs(clipped) >= 0.999 * np.abs(clipped).max()))
    assert max(shares) > 0.05


def pitch_of(clip: np.ndarray) -> float:
    """Frequency of the strongest tone, in Hz."""
    spectrum = np.abs(np.fft.rfft(clip * np.hanning(len(clip)), n=8 * RATE))
    return spectrum.argmax() / 8


@pytest.mark.parametrize("factor", [0.8, 0.95, 1.25])
def test_another_speed_shifts_the_pitch_of_a_tone_by_its_factor(factor):
    tone = (0.3 * np.sin(2 * np.pi * 400 * np.arange(RATE) / RATE)).astype(np.float32)
    other = changed({"speed": 1, "speed_range": (factor, factor)}, tone)
    assert pitch_of(other) == pytest.approx(400 * factor, abs=0.5)
    assert len(other) == pytest.approx(min(RATE, RATE / factor), abs=2)


def test_speeds_are_drawn_from_their_range_as_often_below_as_above():
    tone = (0.3 * np.sin(2 * np.pi * 400 * np.arange(RATE // 2) / RATE)).astype(np.float32)
    drawn = [pitch_of(changed({"speed": 1, "speed_range": (0.5, 2)}, tone, seed=i)) / 400 for i in range(60)]
    assert 0.49 < min(drawn) < 0.6 and 1.7 < max(drawn) < 2.01
    assert np.mean(np.array(drawn) < 1) == pytest.approx(0.5, abs=0.2)


def test_a_clip_never_grows():
    clip = voice_like(0.7)
    assert all(len(changed({"speed": 1, "speed_range": (0.5, 2)}, clip, seed=seed)) <= len(clip) for seed in range(20))


def test_a_microphone_changes_the_balance_of_low_and_high_and_coloured_noise_stays_below_the_clip():
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
    balances, levels = [], []
    for seed in range(20):
        power = np.abs(np.fft.rfft(changed({"microphone": 1}, noise, seed=seed))) ** 2
        balances.append(10 * np.log10(power[5000:].sum() / power[600:2000].sum()))
        levels.append(snr_db(noise, changed({"coloured_noise": 1}, noise, seed=seed)))
    assert max(balances) - min(balances) > 10
    assert 7.5 < min(levels) < 20 and 28 < max(levels) < 40.5


@pytest.mark.parametrize("teacher_input", ["clean", "recording"])
def test_the_teacher_labels_the_clean_clip_or_the_recording(folders, tmp_path, teacher_input):
    source = write_corpus(tmp_path / "clips", 6)
    path = {"noise": 1, "noise_snr_db": (5, 5), "reverberation": 1, "clipping": 1, **folders}
    settings = Augmentation(mix=0.5, **path, teacher_input=teacher_input)
    clean = Augmentation(mix=0.5)  # the same draws, and no recording
    corpus = Corpus(source=str(source), licence="CC0-1.0")
    streams = (Mixture([corpus], 4, (0.5, 1.0), Augment(each)) for each in (settings, clean))
    for clip, other in zip(*(islice(stream, 8) for stream in streams), strict=True):
        assert clip["id"] == other["id"] and len(clip["recordings"][0]) == len(other["recordings"][0])
        assert not np.allclose(clip["recordings"][0], other["recordings"][0], atol=1e-3)
        if teacher_input == "clean":
            np.testing.assert_array_equal(clip["teacher_values"], other["recordings"][0])
        else:
            assert clip["teacher_values"] is None


def test_the_same_draw_gives_the_same_change(folders):
    settings = {"noise": 0.8, "reverberation": 0.5, "level": 0.5, "clipping": 0.5, "band_limit": 0.5, **folders}
    settings |= {"codec": 0.5, "speed": 0.5, "microphone": 0.5, "coloured_noise": 0.5}
    clip = voice_like(1)
    for seed in range(5):
        np.testing.assert_array_equal(changed(settings, clip, seed=seed), changed(settings, clip, seed=seed))
    assert not np.array_equal(changed(settings, clip, seed=1), changed(settings, clip, seed=2))
