"""Functionals describe what is known of made-up voices, and agree with librosa and scipy where those know them too."""

from itertools import product

import numpy as np
import pytest
import torch
from conftest import RATE, voice_like
from scipy.fft import dct

from wav2small.models.functionals import HOP, PITCH_HIGH, PITCH_LOW, PITCH_WINDOW, RHYTHM, SIZE, functionals, pitch
from wav2small.models.log_mel import normalize

PARTS = {  # in this order
    "mel": 40,
    "cepstrum means": 13,
    "cepstrum deviations": 14,
    "size of change": 14,
    "deviation of change": 14,
    "centroid": 5,
    "width": 5,
    "roll-off": 5,
    "balance at 1 kHz": 5,
    "balance at 2 kHz": 5,
    "level": 5,
    "onsets": 5,
    "voicing": 4,
    "pitch": 9,
    "strength": 2,
    "rhythm": 6,
    "rates": 2,
    "log duration": 1,
}


def described(waveform: np.ndarray) -> dict[str, np.ndarray]:
    """The functionals of a clip as recorded, by their names."""
    values = functionals(normalize(torch.from_numpy(waveform.astype(np.float32))[None])[0]).numpy()
    assert values.shape == (SIZE,)
    return dict(zip(PARTS, np.split(values, np.cumsum(list(PARTS.values()))[:-1]), strict=True))


def buzz(hertz: np.ndarray | float, seconds: float = 1.0, harmonics: range = range(1, 12)) -> np.ndarray:
    """A voice without vowels: a pitch, which may change from sample to sample, and its harmonics."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, int(seconds * RATE))) / RATE
    return sum(np.sin(k * phase) / k for k in harmonics).astype(np.float32)


def test_the_parts_are_as_many_as_there_are_values():
    assert sum(PARTS.values()) == SIZE


# ---- pitch ----


def step(hertz: float) -> float:
    """Half the distance from one lag to the next, in Hz, and a little more."""
    return 0.55 * hertz**2 / RATE


TONE, VOICE, TELEPHONE = range(1, 2), range(1, 12), range(2, 12)  # harmonics


@pytest.mark.parametrize(
    ("hertz", "harmonics"),
    [*product((65, 100, 147, 220, 330, 480), (TONE, VOICE)), (100, TELEPHONE), (220, TELEPHONE)],
)
def test_the_pitch_of_a_steady_sound_is_found_even_without_its_fundamental(hertz, harmonics):
    found, strength = pitch(torch.from_numpy(buzz(hertz, harmonics=harmonics)))
    assert len(found) == len(strength) == (RATE - PITCH_WINDOW) // HOP + 1
    np.testing.assert_allclose(found, hertz, atol=step(hertz) + 0.3)
    assert strength.min() > 0.95


@pytest.mark.parametrize(("low", "high"), [(90, 250), (300, 120)])
def test_a_glide_is_followed(low, high):
    seconds = 2.0
    track = np.geomspace(low, high, int(seconds * RATE))
    found, _ = pitch(torch.from_numpy(buzz(track, seconds)))
    middles = np.arange(len(found)) * HOP + PITCH_WINDOW // 2
    off = 12 * np.abs(np.log2(found.numpy() / track[middles]))  # semitones
    assert off.max() < 0.6


def test_pitch_stays_within_its_range_and_noise_has_none():
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    found, _ = pitch(torch.from_numpy(noise))
    assert found.min() >= PITCH_LOW and found.max() <= 1.01 * PITCH_HIGH
    assert described(noise)["voicing"][0] < 0.05
    assert described(buzz(150))["voicing"][0] == 1


def test_melody_is_told_in_semitones_above_100_hz():
    swing = 200 * 2 ** (0.25 * np.sin(2 * np.pi * 2 * np.arange(2 * RATE) / RATE))  # 3 semitones up and down
    mean, deviation, *levels = described(buzz(swing, 2))["pitch"][:7]
    assert mean == pytest.approx(12, abs=0.2)
    assert deviation == pytest.approx(3 / 2**0.5, abs=0.2)
    expected = 12 + 3 * np.sin(np.pi * (np.array([0.05, 0.2, 0.5, 0.8, 0.95]) - 0.5))  # quantiles of a sine
    np.testing.assert_allclose(levels, expected, atol=0.35)
    higher = described(buzz(1.5 * swing, 2))["pitch"]
    assert higher[0] - mean == pytest.approx(12 * np.log2(1.5), abs=0.1)


# ---- rhythm, pauses, duration ----


@pytest.mark.parametrize(("band", "hertz"), list(enumerate([1, 3, 5, 7, 11, 18])))
def test_syllables_show_in_the_band_of_their_rate(band, hertz):
    assert RHYTHM[band][0] < hertz < RHYTHM[band][1]
    time = np.arange(4 * RATE) / RATE
    swung = buzz(150, 4) * (1 + 0.5 * np.sin(2 * np.pi * hertz * time))
    assert described(swung)["rhythm"].argmax() == band


def test_pauses_and_voiced_stretches_are_counted_by_the_second():
    random = np.random.default_rng(0)
    spoken = (np.arange(4 * RATE) // (RATE // 2)) % 2  # four stretches of half a second
    clip = spoken * buzz(150, 4) + 1e-4 * random.standard_normal(4 * RATE)
    found = described(clip)
    np.testing.assert_allclose(found["rates"], [7 / 8, 7 / 8], atol=0.13)  # seven changes, two a stretch, in 4 s
    assert found["voicing"][3] == pytest.approx(0.5, abs=0.05), "share of frames that are active"


def test_duration_counts_and_what_is_shorter_than_a_quarter_of_a_second_counts_as_that():
    for seconds, expected in ((0.1, 0.25), (0.25, 0.25), (1.5, 1.5)):
        assert described(voice_like(seconds))["log duration"][0] == pytest.approx(np.log(expected), abs=1e-6)


# ---- level, silence, short clips ----


@pytest.mark.parametrize("gain", [2.0**-4, 0.3, 7.0, 2.0**6])
def test_the_level_does_not_matter(gain):
    clip = 5 * voice_like(1.5)
    for (name, values), others in zip(described(clip).items(), described(gain * clip).values(), strict=True):
        np.testing.assert_allclose(others, values, atol=2e-2, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("samples", [1, 99, 511, 512, 1024, 3999, 4000, 4001])
@pytest.mark.parametrize("kind", ["silence", "constant", "click", "voice"])
def test_silence_and_very_short_clips_give_finite_values(samples, kind):
    clip = np.zeros(samples)
    if kind == "constant":
        clip += 0.5
    elif kind == "click":
        clip[samples // 2] = 1
    elif kind == "voice":
        clip = voice_like(1)[1000 : 1000 + samples]
    for name, values in described(clip).items():
        assert np.isfinite(values).all(), f"{name} of {kind}"
        assert np.abs(values).max() < 1e4, f"{name} of {kind}"


def test_silence_after_a_clip_leaves_its_spectrum_and_pitch_as_they_are():
    clip = buzz(150, 1.5)
    alone, padded = described(clip), described(np.concatenate([clip, np.zeros(RATE)]))
    for name in ("mel", "centroid", "width", "balance at 1 kHz", "pitch"):
        np.testing.assert_allclose(padded[name][0], alone[name][0], rtol=0.05, atol=0.3, err_msg=name)
    assert padded["voicing"][3] < 0.65 < alone["voicing"][3]


# ---- against librosa and scipy ----


def test_spectrum_cepstrum_and_shapes_are_those_of_librosa_and_scipy():
    """Parity with independent implementations, over the frames that count."""
    librosa = pytest.importorskip("librosa")
    clip = voice_like(2, seed=3)
    clip = ((clip - clip.mean()) / clip.std()).astype(np.float32)
    window = np.hanning(513)[:-1]
    spectrum = np.abs(librosa.stft(clip, n_fft=512, hop_length=HOP, window=window, center=False)) ** 2
    level = 10 * np.log10(spectrum.sum(axis=0))
    active = level > np.quantile(level, 0.95) - 30
    assert 0.3 < active.mean() < 1, "the clip needs frames that count and frames that do not"
    mel = librosa.feature.melspectrogram(S=spectrum, sr=RATE, n_mels=40, fmin=50, fmax=7600)
    log_mel = 10 * np.log10(np.maximum(mel, 1e-6))
    cepstrum = dct(log_mel, axis=0, norm="ortho")[:14]
    of_shapes = {"S": np.sqrt(spectrum[:, active]), "sr": RATE, "n_fft": 512}
    power = {**of_shapes, "S": spectrum[:, active]}

    found = described(clip)
    voiced_mel = log_mel[:, active]
    np.testing.assert_allclose(found["mel"], voiced_mel.mean(axis=1) - voiced_mel.mean(), atol=0.02)
    np.testing.assert_allclose(found["cepstrum means"], cepstrum[1:, active].mean(axis=1), atol=0.05)
    np.testing.assert_allclose(found["cepstrum deviations"], cepstrum[:, active].std(axis=1), atol=0.05)
    change = cepstrum[:, 2:] - cepstrum[:, :-2]
    np.testing.assert_allclose(found["deviation of change"], change.std(axis=1), atol=0.05)
    shapes = {
        "centroid": librosa.feature.spectral_centroid(**power)[0],
        "width": librosa.feature.spectral_bandwidth(**power)[0],
        "roll-off": librosa.feature.spectral_rolloff(**power, roll_percent=0.85)[0],
        "level": level[active],
    }
    for name, frames in shapes.items():
        expected = [frames.mean(), frames.std(), *np.quantile(frames, [0.1, 0.5, 0.9])]
        np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=0.02, err_msg=name)
