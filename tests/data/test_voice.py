"""Voice changes move pitch, its range, formants, tempo and effort, each without the others."""

import numpy as np
import pytest
from conftest import RATE
from scipy.signal import lfilter

from wav2small.models.audio import read_audio
from wav2small_training.data import pitch
from wav2small_training.data.pitch import pitch_track, relative_pitch
from wav2small_training.data.voice import change_voice, shape_spectrum, stretch
from wav2small_training.recipe import Voice

PITCH, FORMANT, BANDWIDTH = 125.0, 1200.0, 500.0  # in Hz


def resonance(pulses: np.ndarray) -> np.ndarray:
    """Pulses through one resonance."""
    radius, angle = np.exp(-np.pi * BANDWIDTH / RATE), 2 * np.pi * FORMANT / RATE
    return (0.3 * lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], pulses)).astype(np.float32)


def vowel(seconds: float = 1.0) -> np.ndarray:
    """Pulses at one pitch through one resonance."""
    pulses = np.zeros(int(seconds * RATE))
    pulses[:: round(RATE / PITCH)] = 1
    return resonance(pulses)


def gliding_vowel(depth: float, seconds: float = 2.0) -> np.ndarray:
    """The same resonance; the pitch goes up and down by `depth` octaves, once a second."""
    times = np.arange(int(seconds * RATE)) / RATE
    periods = np.cumsum(PITCH * 2 ** (depth * np.sin(2 * np.pi * times)) / RATE)
    return resonance(np.diff(np.floor(periods), prepend=0))


def pitch_of(clip: np.ndarray) -> float:
    """In Hz, by autocorrelation."""
    middle = clip[len(clip) // 4 : 3 * len(clip) // 4]
    lags = np.arange(round(0.7 * RATE / PITCH), round(1.4 * RATE / PITCH))
    return RATE / lags[np.argmax([np.dot(middle[lag:], middle[:-lag]) / (len(middle) - lag) for lag in lags])]


def formant_of(clip: np.ndarray) -> float:
    """Where the spectrum, smoothed over 250 Hz, is strongest, in Hz."""
    power = np.abs(np.fft.rfft(clip * np.hanning(len(clip)))) ** 2
    width = round(250 * len(clip) / RATE)
    return float(np.convolve(power, np.hanning(2 * width), "same").argmax() * RATE / len(clip))


def changed(seed: int = 0, clip: np.ndarray | None = None, **ranges) -> np.ndarray:
    still = {"pitch": (1, 1), "formants": (1, 1), "tempo": (1, 1), "effort_db": (0, 0)}
    settings = Voice.model_validate({"probability": 1, **still, **ranges})
    return change_voice(vowel() if clip is None else clip, settings, np.random.default_rng(seed))


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_pitch_moves_without_formants_and_length(factor):
    clip = changed(pitch=(factor, factor))
    assert pitch_of(clip) == pytest.approx(PITCH * factor, rel=0.02)
    assert formant_of(clip) == pytest.approx(FORMANT, rel=0.08)
    assert len(clip) == pytest.approx(RATE, abs=2)


@pytest.mark.parametrize("factor", [0.85, 1.18])
def test_formants_move_without_pitch_and_length(factor):
    clip = changed(formants=(factor, factor))
    moved = np.log(formant_of(clip) / formant_of(vowel())) / np.log(factor)
    assert 0.4 < moved < 1.2, "a smooth envelope moves by the factor, a sharp resonance by less"
    assert pitch_of(clip) == pytest.approx(PITCH, rel=0.02)
    assert len(clip) == RATE


@pytest.mark.parametrize("factor", [0.72, 1.4])
def test_tempo_moves_without_pitch_formants_and_level(factor):
    clip = changed(tempo=(factor, factor))
    assert len(clip) == pytest.approx(RATE / factor, abs=2)
    assert pitch_of(clip) == pytest.approx(PITCH, rel=0.02)
    assert formant_of(clip) == pytest.approx(FORMANT, rel=0.08)
    assert clip.std() == pytest.approx(vowel().std(), rel=0.1)


@pytest.mark.parametrize("effort_db", [-4.0, 4.0])
def test_effort_tilts_the_spectrum_by_so_many_db_per_octave(effort_db):
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) * 0.1
    before, after = (np.abs(np.fft.rfft(each)) ** 2 for each in (noise, shape_spectrum(noise, 1.0, effort_db)))
    gains = [10 * np.log10(after[a:b].sum() / before[a:b].sum()) for a, b in ((1900, 2100), (3800, 4200))]
    assert gains[1] - gains[0] == pytest.approx(effort_db, abs=0.5)  # 1 and 2 kHz


@pytest.mark.parametrize(("factor", "depth"), [(0.4, 0.3), (1.8, 0.2)])
def test_the_range_of_the_pitch_grows_without_its_median_formants_and_length(factor, depth):
    before = gliding_vowel(depth)
    after = changed(clip=before, pitch_range=(factor, factor))
    octaves = [np.log2(track[np.isfinite(track)] / PITCH) for track in map(pitch_track, (before, after))]
    low, high = (np.quantile(each, [0.05, 0.95]) for each in octaves)
    assert np.ptp(low) == pytest.approx(2 * depth * np.sin(0.45 * np.pi), rel=0.1), "the track is that of the glide"
    assert np.ptp(high) == pytest.approx(factor * np.ptp(low), rel=0.15)
    assert np.median(octaves[1]) == pytest.approx(0, abs=0.04)
    assert formant_of(after) == pytest.approx(formant_of(before), rel=0.08)
    assert len(after) == len(before)


def test_range_pitch_and_tempo_change_together():
    before = gliding_vowel(0.3)
    after = changed(clip=before, pitch=(1.2, 1.2), tempo=(1.25, 1.25), pitch_range=(0.5, 0.5))
    octaves = np.log2(pitch_track(after) / PITCH)
    assert np.nanmedian(octaves) == pytest.approx(np.log2(1.2), abs=0.04)
    assert np.ptp(np.nanquantile(octaves, [0.05, 0.95])) == pytest.approx(0.3, rel=0.2)
    assert len(after) == len(before) / 1.25


def test_two_voices_far_apart_have_no_common_intonation(monkeypatch):
    monkeypatch.setattr(pitch, "pitch_track", lambda clip: np.tile([66.0, 449.0], 50))
    assert (relative_pitch(vowel()) == 1).all()


@pytest.mark.parametrize("name", ["rain_esc10", "silence"])
def test_what_has_no_pitch_has_no_intonation(examples, name):
    clip = read_audio(examples / f"{name}.flac")
    assert (relative_pitch(clip) == 1).all()


def test_the_pitch_of_a_voice_is_that_of_librosa(examples):
    librosa = pytest.importorskip("librosa", reason="it tracks the pitch by another method")
    clip = read_audio(examples / "man_libri1235.flac")
    ours = pitch_track(clip)
    theirs, voiced, _ = librosa.pyin(clip, fmin=65, fmax=450, sr=RATE, frame_length=1024, hop_length=160, center=False)
    both = np.isfinite(ours) & voiced[: len(ours)]
    assert both.mean() > 0.3
    assert np.mean(np.abs(np.log2(ours[both] / theirs[: len(ours)][both])) < 1 / 12) > 0.9, "within a semitone"


def test_a_voice_with_no_change_drawn_stays_as_it_is():
    clip = vowel()
    np.testing.assert_array_equal(change_voice(clip, Voice(probability=0), np.random.default_rng(0)), clip)
    np.testing.assert_array_equal(changed(), clip)


@pytest.mark.parametrize("samples", [0, 100, 600, 1000])
def test_short_clips_come_through(samples):
    clip = vowel()[:samples]
    assert np.isfinite(stretch(clip, 1.3)).all() and len(shape_spectrum(clip, 1.1, 3.0)) == samples
    assert len(changed(clip=clip, pitch_range=(1.5, 1.5))) == samples
