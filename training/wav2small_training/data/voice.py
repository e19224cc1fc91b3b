"""Changes of a voice: pitch and its range, formants, tempo and effort, each on its own. They change how a clip sounds.

Resampling, WSOLA and a warped spectral envelope keep the voice natural. A vocoder (WORLD) was tried: it alone, with
nothing changed, lowers the valence that a teacher predicts by .03 to .05, and takes five times as long.
"""

import numpy as np
import soxr
from scipy.signal import istft, stft

from wav2small.models.adv import SAMPLING_RATE

from ..recipe import Voice
from .pitch import relative_pitch

FRAME, HOP = 512, 128  # samples of the spectrogram in which the spectral envelope is warped
QUEFRENCIES = 30  # cepstral coefficients of the spectral envelope: what changes more finely over frequency is pitch
LARGEST_GAIN = 4.0  # of the warp, in units of the natural logarithm
TILT_CENTRE, LARGEST_TILT = 500.0, 18.0  # in Hz, in dB
WINDOW, SEARCH = 480, 160  # samples of WSOLA: 30 ms, and 10 ms to both sides


def change_voice(clip: np.ndarray, settings: Voice, random: np.random.Generator) -> np.ndarray:
    """Change a voice as drawn: each of pitch, its range, formants, tempo and effort with its probability.

    Args:
        clip: (samples,) at 16 kHz.
        settings: probability and ranges.
        random: where the changes are drawn from.

    Returns:
        (samples / tempo,) float32.
    """

    def factor_from(limits: tuple[float, float]) -> float:
        drawn = random.random() < settings.probability
        return float(np.exp(random.uniform(*np.log(limits)))) if drawn else 1.0

    pitch, formants, tempo = map(factor_from, (settings.pitch, settings.formants, settings.tempo))
    effort = random.uniform(*settings.effort_db) if random.random() < settings.probability else 0.0
    # where no range is asked for none is drawn: recipes without it render the same clips as before it was there
    span = 1.0 if settings.pitch_range == (1, 1) else factor_from(settings.pitch_range)
    if span == 1 or len(clip) < 2 * WINDOW:
        # resampling moves pitch and formants together and changes the length: both are put right afterwards
        changed = clip if pitch == 1 else soxr.resample(clip, SAMPLING_RATE * pitch, SAMPLING_RATE)
        return shape_spectrum(stretch(changed, pitch / tempo), formants / pitch, effort)
    factor = pitch * relative_pitch(clip) ** (span - 1)
    changed = move_pitch(clip, factor, tempo)
    times = np.minimum(np.arange(len(changed)) * tempo, len(clip) - 1).astype(int)
    return shape_spectrum(changed, formants / factor[times], effort)


def move_pitch(clip: np.ndarray, factor: np.ndarray, tempo: float) -> np.ndarray:
    """Multiply the pitch by a factor that changes over time, and the formants with it.

    Args:
        clip: (samples,) at 16 kHz.
        factor: (samples,) from 0.5 to 2.
        tempo: factor of the speed of speaking.

    Returns:
        (samples / tempo,) float32.
    """
    places = np.cumsum(1 / factor)  # where each sample lies after resampling
    times = np.interp(np.arange(0, places[-1], 0.5), places, np.arange(len(clip)))
    fine = soxr.resample(clip, 1, 4)
    changed = soxr.resample(np.interp(4 * times, np.arange(len(fine)), fine), 2, 1)
    length = round(len(clip) / tempo)
    starts = np.minimum(np.arange(0, length, WINDOW // 2) * tempo, len(clip) - 1).astype(int)
    return overlap_add(changed, places[starts], length)


def stretch(clip: np.ndarray, factor: float) -> np.ndarray:
    """Make a clip longer or shorter at the same pitch: WSOLA (Verhelst and Roelands 1993).

    Args:
        clip: (samples,) at 16 kHz.
        factor: of the length; 1 changes nothing.

    Returns:
        (samples * factor,) float32.
    """
    if factor == 1 or len(clip) < 2 * WINDOW:
        return np.asarray(clip, np.float32)
    length = round(len(clip) * factor)
    return overlap_add(clip, np.arange(0, length, WINDOW // 2) / factor, length)


def overlap_add(clip: np.ndarray, places: np.ndarray, length: int) -> np.ndarray:
    """Add windows of a clip where they overlap by half, each from near its place, where it continues the one before it.

    Args:
        clip: (samples,) at 16 kHz.
        places: (windows,), the sample at which each window may begin, 10 ms sooner or later.
        length: samples of the result.

    Returns:
        (length,) float32.
    """
    half = WINDOW // 2
    window = np.hanning(WINDOW + 1)[:WINDOW].astype(np.float32)
    source = np.pad(clip, (SEARCH, WINDOW + half + 2 * SEARCH)).astype(np.float32)
    power = np.concatenate([[0.0], np.cumsum(np.square(source, dtype=np.float64))])
    stretched = np.zeros(len(places) * half + WINDOW, np.float32)
    place = SEARCH
    for i, wanted_place in enumerate(places):
        if i:
            first = min(round(wanted_place), len(clip))  # of the places that are searched
            wanted = source[place + half : place + half + WINDOW]  # what would come next
            likeness = np.correlate(source[first : first + WINDOW + 2 * SEARCH], wanted, "valid")
            ends = first + np.arange(len(likeness))
            place = first + int(np.argmax(likeness / np.sqrt(power[ends + WINDOW] - power[ends] + 1e-6)))
            place = min(place, len(source) - WINDOW - half)
        stretched[i * half : i * half + WINDOW] += window * source[place : place + WINDOW]
    return stretched[:length]


def shape_spectrum(clip: np.ndarray, formants: float | np.ndarray, effort_db: float) -> np.ndarray:
    """Move the formants of a clip, and tilt its spectrum as more or less vocal effort does; pitch and length stay.

    Args:
        clip: (samples,) at 16 kHz.
        formants: factor of all formant frequencies, for the clip or (samples,): the spectral envelope, from the
            cepstrum, is warped.
        effort_db: tilt in dB per octave, about 500 Hz.

    Returns:
        (samples,) float32.
    """
    if (np.all(formants == 1) and not effort_db) or len(clip) < FRAME:
        return np.asarray(clip, np.float32)
    frequencies, _, spectrum = stft(clip, SAMPLING_RATE, nperseg=FRAME, noverlap=FRAME - HOP)  # (bins, frames)
    octaves = np.log2(np.maximum(frequencies, 100.0) / TILT_CENTRE)
    tilt = np.clip(effort_db * octaves, -LARGEST_TILT, LARGEST_TILT) * np.log(10) / 20
    gain = np.broadcast_to(tilt[:, None], spectrum.shape)
    if np.any(formants != 1):
        cepstrum = np.fft.irfft(np.log(np.abs(spectrum) + 1e-5), axis=0)
        cepstrum[QUEFRENCIES : 1 - QUEFRENCIES] = 0
        envelope = np.fft.rfft(cepstrum, axis=0).real
        times = np.minimum(np.arange(envelope.shape[1]) * HOP, len(clip) - 1)
        factors = np.broadcast_to(formants, len(clip))[times]  # (frames,)
        places = np.clip(np.arange(len(envelope))[:, None] / factors, 0, len(envelope) - 1)
        low, frames = np.minimum(places.astype(int), len(envelope) - 2), np.arange(len(times))
        share = places - low
        warped = envelope[low, frames] * (1 - share) + envelope[low + 1, frames] * share
        gain = gain + np.clip(warped - envelope, -LARGEST_GAIN, LARGEST_GAIN)
    shaped = istft(spectrum * np.exp(gain), SAMPLING_RATE, nperseg=FRAME, noverlap=FRAME - HOP)[1]
    return np.asarray(shaped[: len(clip)], np.float32)
