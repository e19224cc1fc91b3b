"""The front ends of the students: waveform -> log-mel spectrogram, as frozen layers inside the model."""

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import nn
from transformers.audio_utils import mel_filter_bank

VARIANCE_FLOOR = 1e-7  # of the normalisation (paper; the same value as in wav2vec2's feature extractor)
POWER_FLOOR = 1e-10  # of the logarithm, so that silence is -100 dB (librosa's `amin`)


def in_float32(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a module's method compute in float32 under autocast: half precision is too coarse for power or a long sum."""

    @wraps(method)
    def outside_autocast(module: nn.Module, x: torch.Tensor, *rest: Any) -> Any:
        device = x.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return method(module, x.float(), *rest)
        return method(module, x, *rest)

    return outside_autocast


def normalize(waveform: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
    """Bring each clip to zero mean and unit variance: (x - mean) / sqrt(variance + 1e-7).

    Args:
        waveform: (batch, samples), any level.
        attention_mask: (batch, samples), 1 for samples of the clip, 0 for padding. Mean and variance are taken over
            the clip alone, and the padding becomes 0.

    Returns:
        (batch, samples).
    """
    dtype = waveform.dtype
    waveform = waveform.to(torch.promote_types(dtype, torch.float32))  # float16 cannot count the samples of 5 s
    if attention_mask is None:
        centred = waveform - waveform.mean(dim=1, keepdim=True)
        variance = centred.square().mean(dim=1, keepdim=True)
    else:
        mask = attention_mask.to(waveform.dtype)
        samples = mask.sum(dim=1, keepdim=True).clamp(min=1)
        mean = (waveform * mask).sum(dim=1, keepdim=True) / samples
        centred = (waveform - mean) * mask
        variance = centred.square().sum(dim=1, keepdim=True) / samples
    return (centred * torch.rsqrt(variance + VARIANCE_FLOOR)).to(dtype)


def slaney_mel(bins: int, n_mels: int, f_min: float, f_max: float, sampling_rate: int) -> torch.Tensor:
    """librosa-style mel matrix (Slaney scale and norm): (bins, bands), float64."""
    with warnings.catch_warnings():  # some bands lie between two bins and stay empty, in the paper's network too
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(mel_filter_bank(bins, n_mels, f_min, f_max, sampling_rate, "slaney", "slaney"))


class LogMel(nn.Module):
    """Log-mel spectrogram: a frozen DFT as two convolutions, then a frozen Slaney mel matrix, then decibels.

    Power spectrum of periodic Hann windows without centre padding; librosa-style mel bands (Slaney scale and norm);
    10 * log10(max(power, 1e-10)). Source: paper, and the code on the model card of `audeering/wav2small`.

    Args:
        sampling_rate: of the waveform, in Hz.
        n_fft: samples in a window.
        hop_length: samples from one window to the next.
        n_mels: number of bands.
        f_min: lower edge of the lowest band, in Hz.
        f_max: upper edge of the highest band, in Hz.
    """

    mel: torch.Tensor  # (bins, bands)

    def __init__(self, sampling_rate: int, n_fft: int, hop_length: int, n_mels: int, f_min: float, f_max: float):
        super().__init__()
        self.sampling_rate, self.n_fft, self.hop_length = sampling_rate, n_fft, hop_length
        self.f_min, self.f_max = f_min, f_max
        bins = n_fft // 2 + 1
        self.conv_real = nn.Conv1d(1, bins, n_fft, stride=hop_length, bias=False)
        self.conv_imag = nn.Conv1d(1, bins, n_fft, stride=hop_length, bias=False)
        self.register_buffer("mel", torch.empty(bins, n_mels))
        self.requires_grad_(False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Write the constants: the windowed DFT and the mel matrix, computed in float64."""
        bins, n_mels = self.mel.shape
        time = torch.arange(self.n_fft, dtype=torch.float64)
        angle = 2 * torch.pi / self.n_fft * torch.outer(torch.arange(bins, dtype=torch.float64), time)
        window = torch.hann_window(self.n_fft, periodic=True, dtype=torch.float64)
        self.conv_real.weight.copy_((angle.cos() * window).unsqueeze(1))
        self.conv_imag.weight.copy_((-angle.sin() * window).unsqueeze(1))
        self.mel.copy_(slaney_mel(bins, n_mels, self.f_min, self.f_max, self.sampling_rate))

    def train(self, mode: bool = True) -> "LogMel":
        """Stay frozen: transformers 5 makes all weights that it loads trainable, and then calls this by `eval()`."""
        self.requires_grad_(False)
        return super().train(mode)

    def frames(self, samples: torch.Tensor) -> torch.Tensor:
        """Windows that fit into so many samples; at least 1."""
        return (torch.div(samples - self.n_fft, self.hop_length, rounding_mode="floor") + 1).clamp(min=1)

    @in_float32
    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Turn (batch, samples) into (batch, frames, bands), in dB; at least `n_fft` samples."""
        signal = waveform.unsqueeze(1)  # (batch, 1, samples)
        exact = torch.promote_types(signal.dtype, torch.float32)  # float16 holds neither loud power nor POWER_FLOOR
        power = self.conv_real(signal).to(exact).square() + self.conv_imag(signal).to(exact).square()
        mel = power.transpose(1, 2) @ self.mel.to(exact)  # (batch, frames, bands)
        return (10 * torch.log10(mel.clamp(min=POWER_FLOOR))).to(waveform.dtype)


AT_ONCE = 4  # clips in training: their spectra stay in the cache of a CPU, which makes it three times as fast


class FftLogMel(nn.Module):
    """Log-mel spectrogram by FFT: 0.5 * log10(max(power, floor)) in Slaney's mel bands; a step of 1 is 20 dB.

    Periodic Hann windows without centre padding. Window and mel matrix follow from the arguments: they are not stored
    in a checkpoint.

    Args:
        sampling_rate: of the waveform, in Hz.
        n_fft: points of the FFT; a window is filled up with zeros.
        window_length: samples in a window.
        hop_length: samples from one window to the next.
        n_mels: number of bands.
        f_min: lower edge of the lowest band, in Hz.
        f_max: upper edge of the highest band, in Hz.
        power_floor: of the logarithm.
    """

    window: torch.Tensor  # (window_length,)
    mel: torch.Tensor  # (bins, bands)

    def __init__(
        self,
        sampling_rate: int,
        n_fft: int,
        window_length: int,
        hop_length: int,
        n_mels: int,
        f_min: float,
        f_max: float,
        power_floor: float,
    ):
        super().__init__()
        self.sampling_rate, self.n_fft = sampling_rate, n_fft
        self.window_length, self.hop_length = window_length, hop_length
        self.f_min, self.f_max, self.power_floor = f_min, f_max, power_floor
        self.register_buffer("window", torch.empty(window_length), persistent=False)
        self.register_buffer("mel", torch.empty(n_fft // 2 + 1, n_mels), persistent=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Write the constants."""
        self.window.copy_(torch.hann_window(self.window_length, periodic=True, dtype=torch.float64))
        bins, n_mels = self.mel.shape
        self.mel.copy_(slaney_mel(bins, n_mels, self.f_min, self.f_max, self.sampling_rate))

    def frames(self, samples: torch.Tensor) -> torch.Tensor:
        """Windows that fit into so many samples; at least 1."""
        return (torch.div(samples - self.window_length, self.hop_length, rounding_mode="floor") + 1).clamp(min=1)

    @in_float32
    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Turn (batch, samples) into (batch, frames, bands); at least `window_length` samples."""
        if self.training and waveform.device.type == "cpu" and len(waveform) > AT_ONCE:
            return torch.cat([self(part) for part in torch.split(waveform, AT_ONCE)])
        exact = torch.promote_types(waveform.dtype, torch.float32)
        windows = waveform.to(exact).unfold(1, self.window_length, self.hop_length)  # (batch, frames, window_length)
        spectrum = torch.fft.rfft(windows * self.window.to(exact), n=self.n_fft)
        power = spectrum.real.square() + spectrum.imag.square()  # (batch, frames, bins)
        return (0.5 * torch.log10((power @ self.mel.to(exact)).clamp(min=self.power_floor))).to(waveform.dtype)
