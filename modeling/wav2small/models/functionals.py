"""Functionals of prosody and voice: one vector of fixed length for a clip of any length, from its spectrum and pitch.

In the tradition of openSMILE's sets (Eyben et al. 2016, "The Geneva Minimalistic Acoustic Parameter Set"), written anew
in torch: statistics over time of log-mel bands, cepstrum, spectral shape, pitch, voicing and rhythm. The level does not
matter: the waveform has unit variance.
"""

import math
from functools import cache

import torch
from transformers.audio_utils import mel_filter_bank

RATE = 16000
WINDOW, HOP = 512, 160  # samples: 32 ms, every 10 ms
BANDS, CEPSTRUM = 40, 14
PITCH_WINDOW = 1024  # samples: two periods of 31 Hz
PITCH_LOW, PITCH_HIGH = 60, 500  # Hz
VOICED = 0.45  # normalised autocorrelation above which a frame has a pitch
ACTIVE_DB = 30.0  # a frame counts down to this far below the loudest
FLOOR = 1e-6  # of power, before the logarithm
LEAST = 4000  # samples; a shorter clip is padded with zeros
RHYTHM = ((0.5, 2), (2, 4), (4, 6), (6, 9), (9, 14), (14, 25))  # Hz: bands of the modulation spectrum
SIZE = 154


@cache
def constants(device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mel matrix (bands, bins), cosine transform (cepstrum, bands), frequencies (bins,) in Hz."""
    mel = mel_filter_bank(WINDOW // 2 + 1, BANDS, 50.0, 7600.0, RATE, "slaney", "slaney").T
    order, band = torch.arange(CEPSTRUM)[:, None], torch.arange(BANDS)[None]
    cosine = torch.cos(math.pi * order * (band + 0.5) / BANDS) * math.sqrt(2 / BANDS)
    cosine[0] /= math.sqrt(2)
    frequency = torch.linspace(0, RATE / 2, WINDOW // 2 + 1)
    return torch.from_numpy(mel).float().to(device), cosine.to(device), frequency.to(device)


def decibels(power: torch.Tensor) -> torch.Tensor:
    """10 * log10, from -60 dB up."""
    return 10 * torch.log10(power.clamp(min=FLOOR))


def moments(values: torch.Tensor) -> list[torch.Tensor]:
    """Mean and deviation of (frames,)."""
    return [values.mean(), values.std(correction=0)]


def spread(values: torch.Tensor, levels: tuple[float, ...] = (0.1, 0.5, 0.9)) -> list[torch.Tensor]:
    """Quantiles of (frames,)."""
    return list(torch.quantile(values, torch.tensor(levels, device=values.device)))


def pitch(waveform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Follow the pitch by autocorrelation, corrected for the window (Boersma 1993).

    Args:
        waveform: (samples,), at least one window of 1024.

    Returns:
        Frequency in Hz and strength of the periodicity (1: periodic), each (frames,).
    """
    window = torch.hann_window(PITCH_WINDOW, device=waveform.device)
    frames = waveform.unfold(0, PITCH_WINDOW, HOP) * window  # (frames, window)

    def autocorrelation(x: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft(torch.fft.rfft(x, 2 * PITCH_WINDOW).abs().square())[..., :PITCH_WINDOW]

    lags = torch.arange(RATE // PITCH_HIGH, RATE // PITCH_LOW, device=waveform.device)
    of_frames, of_window = autocorrelation(frames), autocorrelation(window)
    strength = of_frames[:, lags] / (of_frames[:, :1] + 1e-9) / (of_window[lags] / of_window[0])
    short_first = 1 - 0.0006 * torch.arange(len(lags), device=waveform.device)  # against octaves too low
    best = (strength * short_first).argmax(dim=1)
    return RATE / lags[best].float(), strength.gather(1, best[:, None])[:, 0]


def functionals(waveform: torch.Tensor) -> torch.Tensor:
    """Describe one clip.

    Args:
        waveform: (samples,) at 16 kHz, float32, zero mean and unit variance, without padding.

    Returns:
        (154,): long-term shape of the spectrum (40 mel bands), cepstrum (13 means, 14 deviations, 28 of its change),
        centroid, width, roll-off, two spectral balances and level (5 each), onsets (5), voicing (4), pitch (9) and
        strength of the voice (2), modulation spectrum (6), rate of pauses and of voiced stretches, log duration.
    """
    if len(waveform) < LEAST:
        waveform = torch.nn.functional.pad(waveform, (0, LEAST - len(waveform)))
    mel_matrix, cosine, frequency = constants(waveform.device)
    window = torch.hann_window(WINDOW, device=waveform.device)
    power = torch.stft(waveform, WINDOW, HOP, window=window, center=False, return_complex=True).abs().square()
    log_mel = decibels(mel_matrix @ power)  # (bands, frames)
    level = decibels(power.sum(dim=0))  # (frames,)
    active = level > torch.quantile(level, 0.95) - ACTIVE_DB
    cepstrum = cosine @ log_mel
    change = cepstrum[:, 2:] - cepstrum[:, :-2]

    values = list(log_mel[:, active].mean(dim=1) - log_mel[:, active].mean())
    values += list(cepstrum[1:, active].mean(dim=1)) + list(cepstrum[:, active].std(dim=1, correction=0))
    values += list(change.abs().mean(dim=1)) + list(change.std(dim=1, correction=0))

    share = power[:, active] / power[:, active].sum(dim=0).clamp(min=1e-9)  # (bins, active frames)
    centroid = (frequency[:, None] * share).sum(dim=0)
    width = ((frequency[:, None] - centroid).square() * share).sum(dim=0).sqrt()
    roll_off = (share.cumsum(dim=0) < 0.85).sum(dim=0) * frequency[1]

    def balance(split: int, low: int, high: int) -> torch.Tensor:
        below, above = power[low:split, active].sum(dim=0), power[split:high, active].sum(dim=0)
        return decibels(below / above.clamp(min=1e-9))

    one_khz, two_khz = balance(32, 2, WINDOW // 2 + 1), balance(64, 2, 160)
    for shape in (centroid, width, roll_off, one_khz, two_khz, level[active]):
        values += moments(shape) + spread(shape)
    onsets = (log_mel[:, 1:] - log_mel[:, :-1]).clamp(min=0).mean(dim=0)
    values += moments(onsets) + spread(onsets)

    hertz, strength = pitch(waveform)
    frames = min(len(level), len(hertz))
    voiced = (strength[:frames] > VOICED) & active[:frames]
    values += [voiced.float().mean(), *moments(strength), active.float().mean()]
    values += melody(hertz[:frames][voiced], strength[:frames][voiced])

    seconds = len(waveform) / RATE
    values += rhythm(level)
    values += [(flags[1:] != flags[:-1]).sum() / (2 * seconds) for flags in (active, voiced)]
    values.append(torch.tensor(math.log(seconds), device=waveform.device))
    return torch.stack(values)


def melody(hertz: torch.Tensor, strength: torch.Tensor) -> list[torch.Tensor]:
    """Pitch in semitones above 100 Hz, its quantiles and its steps, and the strength of the voice: 11 values."""
    if len(hertz) < 6:
        return [hertz.new_zeros(())] * 11
    semitones = 12 * torch.log2(hertz / 100)
    middle = semitones.median()
    semitones = semitones.clamp(middle - 14, middle + 14)  # octave errors
    steps = (semitones[1:] - semitones[:-1]).clamp(-3, 3)
    described = moments(semitones) + spread(semitones, (0.05, 0.2, 0.5, 0.8, 0.95))
    return [*described, steps.abs().mean(), steps.std(correction=0), *moments(strength)]


def rhythm(level: torch.Tensor) -> list[torch.Tensor]:
    """Modulation spectrum of the level in dB: log share of the power from 0.5 to 25 Hz in each of six bands."""
    swing = (level - level.mean()) * torch.hann_window(len(level), device=level.device)
    power = torch.fft.rfft(swing, n=max(512, len(level))).abs().square()
    hertz = torch.linspace(0, RATE / HOP / 2, len(power), device=level.device)
    whole = power[(hertz > RHYTHM[0][0]) & (hertz < RHYTHM[-1][1])].sum() + 1e-9
    return [torch.log(power[(hertz >= low) & (hertz < high)].sum() / whole + 1e-4) for low, high in RHYTHM]
