"""Changes of a voice: pitch, formants, tempo and effort, each on its own. They change how a clip sounds to a listener.

Resampling, WSOLA and a warped spectral envelope keep the voice natural. A vocoder (WORLD) was tried: it alone, with
nothing changed, lowers the valence that a teacher predicts by .03 to .05, and takes five times as long.
"""

import numpy as np
import soxr
from scipy.signal import istft, stft

from wav2small.models.adv import SAMPLING_RATE

from ..recipe import Voice

FRAME, HOP = 512, 128  # samples of the spectrogram in which the spectral envelope is warped
QUEFRENCIES = 30  # cepstral coefficients of the spectral envelope: what changes more finely over frequency is pitch
LARGEST_GAIN = 4.0  # of the warp, in units of the natural logarithm
TILT_CENTRE, LARGEST_TILT = 500.0, 18.0  # in Hz, in dB
WINDOW, SEARCH = 480, 160  # samples of WSOLA: 30 ms, and 10 ms to both sides


def change_voice(clip: np.ndarray, settings: Voice, random: np.random.Generator) -> np.ndarray:
    """Change a voice as drawn: each of pitch, formants, tempo and effort with its probability.

    Args:
        clip: (samples,) at 16 kHz.
        settings: probability and ranges.
        random: where the changes are drawn from.

    Returns:
        (samples / tempo,) float32.
    """
    pitch, formants, tempo = (
        float(np.exp(random.uniform(*np.log(limits)))) if random.random() < settings.probability else 1.0
        for limits in (settings.pitch, settings.formants, settings.tempo)
    )
    effort = random.uniform(*settings.effort_db) if random.random() < settings.probability else 0.0
    # resampling moves pitch and formants together and changes the length: both are put right afterwards
    changed = clip if pitch == 1 else soxr.resample(clip, SAMPLING_RATE * pitch, SAMPLING_RATE)
    changed = stretch(changed, pitch / tempo)
    return shape_spectrum(changed, formants / pitch, effort)


def stretch(clip: np.ndarray, factor: float) -> np.ndarray:
    """Make a clip longer or shorter at the same pitch: WSOLA (Verhelst and Roelands 1993).

    Windows of the clip are added where they overlap; each is taken from the place near its own where it continues the
    one before it best.

    Args:
        clip: (samples,) at 16 kHz.
        factor: of the length; 1 changes nothing.

    Returns:
        (samples * factor,) float32.
    """
    if factor == 1 or len(clip) < 2 * WINDOW:
        return np.asarray(clip, np.float32)
    half, length = WINDOW // 2, round(len(clip) * factor)
    window = np.hanning(WINDOW + 1)[:WINDOW].astype(np.float32)
    source = np.pad(clip, (SEARCH, WINDOW + half + 2 * SEARCH)).astype(np.float32)
    power = np.concatenate([[0.0], np.cumsum(np.square(source, dtype=np.float64))])
    stretched = np.zeros(length + WINDOW, np.float32)
    place = SEARCH
    for start in range(0, length, half):
        if start:
            first = min(round(start / factor), len(clip))  # of the places that are searched
            wanted = source[place + half : place + half + WINDOW]  # what would come next
            likeness = np.correlate(source[first : first + WINDOW + 2 * SEARCH], wanted, "valid")
            ends = first + np.arange(len(likeness))
            place = first + int(np.argmax(likeness / np.sqrt(power[ends + WINDOW] - power[ends] + 1e-6)))
            place = min(place, len(source) - WINDOW - half)
        stretched[start : start + WINDOW] += window * source[place : place + WINDOW]
    return stretched[:length]


def shape_spectrum(clip: np.ndarray, formants: float, effort_db: float) -> np.ndarray:
    """Move the formants of a clip, and tilt its spectrum as more or less vocal effort does; pitch and length stay.

    Args:
        clip: (samples,) at 16 kHz.
        formants: factor of all formant frequencies: the spectral envelope, from the cepstrum, is warped.
        effort_db: tilt in dB per octave, about 500 Hz.

    Returns:
        (samples,) float32.
    """
    if (formants == 1 and not effort_db) or len(clip) < FRAME:
        return np.asarray(clip, np.float32)
    frequencies, _, spectrum = stft(clip, SAMPLING_RATE, nperseg=FRAME, noverlap=FRAME - HOP)  # (bins, frames)
    octaves = np.log2(np.maximum(frequencies, 100.0) / TILT_CENTRE)
    tilt = np.clip(effort_db * octaves, -LARGEST_TILT, LARGEST_TILT) * np.log(10) / 20
    gain = np.broadcast_to(tilt[:, None], spectrum.shape)
    if formants != 1:
        cepstrum = np.fft.irfft(np.log(np.abs(spectrum) + 1e-5), axis=0)
        cepstrum[QUEFRENCIES : 1 - QUEFRENCIES] = 0
        envelope = np.fft.rfft(cepstrum, axis=0).real
        places = np.clip(np.arange(len(envelope)) / formants, 0, len(envelope) - 1)
        low = np.minimum(places.astype(int), len(envelope) - 2)
        share = (places - low)[:, None]
        warped = envelope[low] * (1 - share) + envelope[low + 1] * share
        gain = gain + np.clip(warped - envelope, -LARGEST_GAIN, LARGEST_GAIN)
    shaped = istft(spectrum * np.exp(gain), SAMPLING_RATE, nperseg=FRAME, noverlap=FRAME - HOP)[1]
    return np.asarray(shaped[: len(clip)], np.float32)
