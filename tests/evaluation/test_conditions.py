"""The changes of audio do what their names say, measured on their output; the same clip meets the same change."""

import csv
from functools import partial

import numpy as np
import pytest
import soundfile
from conftest import RATE, voice_like
from scipy.signal import welch

from wav2small.models.errors import Wav2SmallError
from wav2small_training.evaluation.conditions import (
    AS_RECORDED,
    DISTORTIONS,
    FIXED,
    LEAST_SAMPLES,
    LEVEL_NORMALISED,
    SMALL_CHANGES,
    VOICEFIXER,
    Condition,
    Recordings,
    clarity_db,
    compressed,
    conditions,
    level_db,
    mu_law,
    pink_noise,
    recorded_noise,
    rms,
)

NAMED = {c.name: c for c in (AS_RECORDED, LEVEL_NORMALISED, *SMALL_CHANGES, *FIXED, *DISTORTIONS)}
CLIPS = [f"clip-{i}" for i in range(24)]


def noise_like(samples: int = 10 * RATE) -> np.ndarray:
    return (0.05 * np.random.default_rng(5).standard_normal(samples)).astype(np.float32)


def gain_at(name: str, hertz: list[float]) -> np.ndarray:
    """Gain of a condition in dB at some frequencies, measured on noise."""
    clean = noise_like()
    frequencies, before = welch(clean, RATE, nperseg=1024)
    _, after = welch(NAMED[name](clean, "a"), RATE, nperseg=1024)
    return np.interp(hertz, frequencies, 10 * np.log10((after + 1e-15) / before))


def snr_db(clean: np.ndarray, changed: np.ndarray) -> float:
    """Ratio of what is proportional to the clip to what is not."""
    scale = (clean @ changed) / (clean @ clean)
    return 20 * np.log10(rms(scale * clean) / rms(changed - scale * clean))


@pytest.fixture
def folders(tmp_path):
    """Noise of all kinds, and three rooms of growing reverberation."""
    random = np.random.default_rng(0)
    (tmp_path / "noise").mkdir()
    with (tmp_path / "noise" / "metadata.csv").open("w", newline="") as file:
        rows = [("file_name", "category"), *((f"{k}.wav", k) for k in ("rain", "music", "coughing", "sneezing"))]
        csv.writer(file).writerows(rows)
    for name, *_ in rows[1:]:
        soundfile.write(tmp_path / "noise" / name, 0.1 * random.standard_normal(RATE // 2), RATE, "FLOAT")
    (tmp_path / "rooms").mkdir()
    for name, seconds in (("hall", 1.5), ("cell", 0.1), ("room", 0.5)):
        time = np.arange(RATE) / RATE
        response = random.standard_normal(RATE) * 10 ** (-3 * time / seconds)
        response[:40], response[40] = 0, 10
        soundfile.write(tmp_path / "rooms" / f"{name}.wav", 0.05 * response, RATE, "FLOAT")
    return tmp_path


@pytest.fixture
def everything(folders) -> list[Condition]:
    voices = [voice_like(1.0, seed=i) for i in range(9)]
    return conditions(Recordings.find(folders / "noise", folders / "rooms", voices))


def test_a_clip_always_meets_the_same_change(everything):
    clip = voice_like(1.0, seed=3)
    before = [condition(clip, "a") for condition in everything]
    np.random.seed(7)
    for condition, expected in reversed(list(zip(everything, before, strict=True))):
        np.testing.assert_array_equal(condition(clip, "a"), expected, condition.name)
        assert condition(clip, "a").dtype == np.float32
    drawn = {c.name for c, one in zip(everything, before, strict=True) if not np.array_equal(one, c(clip, "b"))}
    assert {"white noise 20 dB", "babble 20 dB", "environment 20 dB", "telephone"} <= drawn
    assert drawn.isdisjoint(VOICEFIXER["clipping"] + VOICEFIXER["low resolution"]), "these have nothing to draw"


def test_the_clip_itself_is_not_touched(everything):
    clip = voice_like(1.0)
    copy = clip.copy()
    for condition in everything:
        condition(clip, "a")
        np.testing.assert_array_equal(clip, copy, condition.name)


def test_only_padding_and_cropping_change_the_length(everything):
    clip = voice_like(1.0)
    for condition in everything:
        lengths = {len(condition(clip, name)) - len(clip) for name in CLIPS}
        if condition.name.startswith("zeros"):
            assert lengths == {100, 500, 1000}
        elif condition.name.startswith("cropped"):
            assert lengths == {-100, -500, -1000}
        else:
            assert lengths == {0}, condition.name


def test_padding_and_cropping_keep_the_rest():
    clip = voice_like(1.0)
    for name in CLIPS:
        start, end = NAMED["zeros before"](clip, name), NAMED["zeros after"](clip, name)
        np.testing.assert_array_equal(start[-len(clip) :], clip)
        np.testing.assert_array_equal(end[: len(clip)], clip)
        assert not start[: -len(clip)].any() and not end[len(clip) :].any()
        start, end = NAMED["cropped start"](clip, name), NAMED["cropped end"](clip, name)
        np.testing.assert_array_equal(start, clip[-len(start) :])
        np.testing.assert_array_equal(end, clip[: len(end)])
    short = clip[: LEAST_SAMPLES + 50]
    assert {len(NAMED["cropped start"](short, name)) for name in CLIPS} == {LEAST_SAMPLES}, "a model needs 0.1 s"


@pytest.mark.parametrize("samples", [LEAST_SAMPLES, 3 * RATE])
def test_every_change_survives_silence_and_short_clips(everything, samples):
    for condition in [*everything, LEVEL_NORMALISED]:
        silent = condition(np.zeros(samples, np.float32), "a")
        assert np.isfinite(silent).all(), condition.name
        if not condition.name.startswith("telephone"):
            assert not silent.any(), f"{condition.name} makes sound out of silence"
        assert np.isfinite(condition(voice_like(samples / RATE), "a")).all(), condition.name


def test_the_level_normalised_run_brings_every_clip_to_one_level():
    for gain in (0.001, 0.1, 3):
        changed = LEVEL_NORMALISED(voice_like(1.0) * np.float32(gain), "a")
        assert level_db(changed) == pytest.approx(-26, abs=0.01)
    assert level_db(np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)) == pytest.approx(-3.01, abs=0.01)


def test_background_noise_has_its_ratio_and_keeps_the_level(everything):
    clip = voice_like(2.0)
    wanted = {"white noise 20 dB": 20, "babble 20 dB": 20, "environment 20 dB": 20, "music 20 dB": 20}
    wanted |= {"coughing 10 dB": 10, "sneezing 10 dB": 10, "noise 10 dB": 10, "noise 0 dB": 0, "noise -5 dB": -5}
    found = {condition.name: condition for condition in everything}
    for name, ratio in wanted.items():
        changed = found[name](clip, "a")
        assert snr_db(clip, changed) == pytest.approx(ratio, abs=0.7), name
        assert rms(changed) == pytest.approx(rms(clip), rel=1e-3), name


def test_small_white_noise_and_tone_have_the_published_ratios():
    clip = voice_like(2.0)
    ratios = {round(snr_db(clip, NAMED["white noise 35-45 dB"](clip, name))) for name in CLIPS}
    assert ratios == {35, 40, 45}
    ratios, pitches = set(), []
    for name in CLIPS:
        added = NAMED["tone 5-7 kHz"](clip, name).astype(np.float64) - clip
        ratios.add(round(20 * np.log10(np.abs(clip).max() / np.abs(added).max())))
        pitches.append(np.abs(np.fft.rfft(added)).argmax() / 2)  # 2 s: half a hertz a bin
    assert ratios == {40, 45, 50}, "of the peaks"
    assert 5000 <= min(pitches) < 5800 and 6200 < max(pitches) <= 7000


def test_a_cough_is_heard_once(folders):
    clip = np.full(2 * RATE, 0.1, np.float32)
    paths = [folders / "noise" / "coughing.wav"]
    once = Condition("once", partial(recorded_noise, paths=paths, snr_db=10, once=True))
    for name in CLIPS:
        changed = once(clip, name)
        quiet = np.median(changed)
        assert (np.abs(changed - quiet) < 1e-6).sum() >= 1.5 * RATE, "half a second of 2 s is disturbed"


def test_a_voice_does_not_babble_over_itself():
    clip = voice_like(1.0)
    silent = [np.zeros(RATE + i, np.float32) for i in range(8)]
    (babble,) = (c for c in conditions(Recordings(voices=[clip, *silent])) if c.name.startswith("babble"))
    for name in CLIPS:
        np.testing.assert_allclose(babble(clip, name), clip, atol=1e-7)
    assert not any(c.name.startswith("babble") for c in conditions(Recordings(voices=[clip] * 7))), "too few voices"


def test_clipping_takes_the_share_or_the_height_it_names():
    clip = voice_like(2.0)
    shares = set()
    for name in CLIPS:
        changed = NAMED["clipped .1-.3 %"](clip, name)
        shares.add(round(1000 * float((np.abs(changed) == np.abs(changed).max()).mean()), 1))
    assert shares == {1, 2, 3}, "per mille"
    for limit in (0.5, 0.25, 0.1):
        changed = NAMED[f"clipping {limit}"](clip, "a")
        assert np.abs(changed).max() == pytest.approx(limit * np.abs(clip).max(), rel=1e-5)
        inside = np.abs(clip) < limit * np.abs(clip).max()
        np.testing.assert_array_equal(changed[inside], clip[inside])


def test_gain_is_one_or_two_decibels_up_or_down():
    clip = voice_like(1.0)
    assert {round(level_db(NAMED["gain 1-2 dB"](clip, name)) - level_db(clip), 3) for name in CLIPS} == {-2, -1, 1, 2}


def test_filters_have_order_one_and_their_cut_off_frequency():
    clean = noise_like()
    frequencies, before = welch(clean, RATE, nperseg=1024)

    def cut_offs(name, rising):
        found = set()
        for clip in CLIPS:
            _, after = welch(NAMED[name](clean, clip), RATE, nperseg=1024)
            gain = 10 * np.log10(after / before)
            found.add(np.interp(-3.01, gain if rising else gain[::-1], frequencies if rising else frequencies[::-1]))
        return found

    low = cut_offs("low pass 6.5-7.5 kHz", rising=False)
    assert {round(value / 500) * 500 for value in low} == {6500, 7000, 7500}
    assert gain_at("high pass 50-150 Hz", [1000, 4000]) == pytest.approx([0, 0], abs=0.2)
    time = np.arange(4 * RATE) / RATE
    drops = set()
    for clip in CLIPS:  # an octave below its cut-off, order 1 takes 7 dB
        hum = np.sin(2 * np.pi * 50 * time).astype(np.float32)
        changed = NAMED["high pass 50-150 Hz"](hum, clip)[RATE:]
        drops.add(round(level_db(changed) - level_db(hum)))
    assert drops == {round(-10 * np.log10(1 + (cut / 50) ** 2)) for cut in (50, 100, 150)}


def test_low_resolution_has_nothing_above_half_its_rate():
    for kilohertz in (8, 4, 2):
        edge = 500 * kilohertz
        gains = gain_at(f"resolution {kilohertz} kHz", [0.8 * edge, 1.2 * edge, 7000])
        assert gains[0] == pytest.approx(0, abs=0.3)
        assert (gains[1:] < -40).all(), kilohertz


def test_a_tilt_changes_evenly_by_20_db_and_keeps_the_level():
    places = [500, 2000, 4000, 6000, 7500]
    for name, sign in (("tilt up", 1), ("tilt down", -1)):
        slope = np.polyfit(places, gain_at(name, places), 1)[0]
        assert slope * 8000 == pytest.approx(sign * 20, abs=1)
        assert rms(NAMED[name](noise_like(), "a")) == pytest.approx(rms(noise_like()), rel=1e-3)


def test_a_telephone_is_narrow_compressed_and_coarse():
    clip = voice_like(2.0)
    changed = NAMED["telephone"](clip, "a")
    assert rms(changed) == pytest.approx(rms(clip), rel=1e-3)
    tone = np.sin(2 * np.pi * 5500 * np.arange(2 * RATE) / RATE) + np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE)
    spectrum = np.abs(np.fft.rfft(NAMED["telephone"](tone.astype(np.float32), "a")))
    assert spectrum[11000] < 0.01 * spectrum[2000], "5.5 kHz is gone, 1 kHz is there"

    time = np.arange(RATE) / RATE
    for before, after in ((-6, -4.8), (-30, -26)):  # dB: a slope of .8 above -20 dB
        square = 10 ** (before / 20) * np.sign(np.sin(2 * np.pi * 100 * time + 1e-3))
        assert level_db(compressed(square, RATE)[RATE // 2 :]) == pytest.approx(after, abs=0.2)

    ramp = np.linspace(-1, 1, 10001)
    assert len(np.unique(mu_law(ramp))) <= 256
    assert np.abs(mu_law(ramp) - ramp).max() < 0.03
    assert np.abs(mu_law(ramp / 100) - ramp / 100).max() < 0.0005, "finer where it is quiet"


def test_pink_noise_falls_by_three_decibels_an_octave():
    frequencies, power = welch(pink_noise(60 * RATE, np.random.default_rng(0)), RATE, nperseg=4096)
    band = (frequencies > 100) & (frequencies < 6000)
    slope = np.polyfit(np.log2(frequencies[band]), 10 * np.log10(power[band]), 1)[0]
    assert slope == pytest.approx(-3.01, abs=0.1)


def test_a_room_without_reverberation_changes_nothing(tmp_path):
    response = np.zeros(2000)
    response[300] = 0.4
    for i in range(3):
        soundfile.write(tmp_path / f"{i}.wav", response, RATE, "FLOAT")
    clip = voice_like(1.0)
    for condition in conditions(Recordings.find(None, tmp_path, [])):
        if condition.name == "room" or condition.name.startswith("reverb"):
            np.testing.assert_allclose(condition(clip, "a"), clip, atol=1e-6)


def test_rooms_are_ordered_by_clarity_and_blur_a_click(folders):
    recordings = Recordings.find(None, folders / "rooms", [])
    assert [path.stem for path in recordings.rooms] == ["cell", "room", "hall"]
    found = {condition.name: condition for condition in conditions(recordings)}
    click = np.zeros(RATE, np.float32)
    click[100] = 0.1
    heard = [found[name](click, "a") for name in VOICEFIXER["reverberation"]]
    assert all(np.abs(wave).argmax() == 100 for wave in heard), "the direct sound stays where it is"
    clarities = [clarity_db(wave) for wave in heard]
    assert clarities == sorted(clarities, reverse=True)


def test_noise_without_categories_is_environmental(folders):
    (folders / "noise" / "metadata.csv").unlink()
    recordings = Recordings.find(folders / "noise", None, [])
    assert {kind: len(paths) for kind, paths in recordings.noise.items()} == {"environment": 4}
    assert not any("music" in condition.name for condition in conditions(recordings))


def test_a_folder_without_audio_is_named(tmp_path):
    with pytest.raises(Wav2SmallError, match=f"{tmp_path.name} holds no audio"):
        Recordings.find(tmp_path, None, [])


def test_the_given_noise_and_rooms_serve(speech):
    clip = voice_like(2.0)
    for condition in conditions(Recordings.find(speech / "noise", speech / "rooms", [])):
        changed = condition(clip, "a")
        assert np.isfinite(changed).all() and np.abs(changed).max() <= 1, condition.name
        if condition.name.startswith(("noise", "environment")):
            assert snr_db(clip, changed) == pytest.approx(float(condition.name.split()[1]), abs=1.5)
