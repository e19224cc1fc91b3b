"""Wav2Small, read literally from its published descriptions: numpy's FFT, loops, and torch's functional convolutions.

Shares no code with the package: neither the DFT as convolutions, nor the mel matrix, nor any layer class.
"""

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812


def slaney_mel(n_fft: int = 64, bands: int = 26, rate: int = 16000, f_max: float = 8000.0) -> np.ndarray:
    """Triangular bands on Slaney's scale (linear below 1 kHz, logarithmic above), each of unit area: (bands, bins)."""

    def to_hz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * np.exp((mel - 15) * np.log(6.4) / 27)

    top = 15 + 27 * np.log(f_max / 1000) / np.log(6.4)
    edges = [to_hz(mel) for mel in np.linspace(0, top, bands + 2)]
    matrix = np.zeros((bands, n_fft // 2 + 1))
    for band in range(bands):
        low, centre, high = edges[band : band + 3]
        for bin_ in range(matrix.shape[1]):
            hz = bin_ * rate / n_fft
            rise, fall = (hz - low) / (centre - low), (high - hz) / (high - centre)
            matrix[band, bin_] = max(0.0, min(rise, fall)) * 2 / (high - low)
    return matrix


def log_mel(waveform: np.ndarray, n_fft: int = 64, hop: int = 32, bands: int = 26) -> np.ndarray:
    """Decibels of the mel power of each windowed frame: (frames, bands)."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    mel = slaney_mel(n_fft, bands)
    frames = []
    for start in range(0, len(waveform) - n_fft + 1, hop):
        power = np.abs(np.fft.rfft(window * waveform[start : start + n_fft])) ** 2
        frames.append(10 * np.log10(np.maximum(mel @ power, 1e-10)))
    return np.array(frames)


def forward(weights: dict[str, torch.Tensor], waveform: np.ndarray) -> np.ndarray:
    """One clip (samples,) through the network in evaluation: (3,). Weights have the keys of `audeering/wav2small`.

    Linear `lin` and `sof` (169 x 169) make it the paper's network, 1x1 convolutions the Hub variant.
    """
    x = waveform.astype(np.float64)
    x = (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + 1e-7)
    x = torch.from_numpy(log_mel(x))[None, None]
    w = {key: value.double() for key, value in weights.items()}
    for i in range(1, 8):
        norm = f"vgg7.l{i}.norm."
        x = F.conv2d(x, w[f"vgg7.l{i}.conv.weight"], padding=1)
        scale = w[norm + "weight"] / torch.sqrt(w[norm + "running_var"] + 1e-5)
        x = (x - w[norm + "running_mean"][:, None, None]) * scale[:, None, None] + w[norm + "bias"][:, None, None]
        x = F.relu(x)
        if i == 3:
            x = F.max_pool2d(x, 3, stride=2, padding=1)
    if w["vgg7.lin.weight"].dim() == 2:
        batch, channel, token, mel = x.shape
        tokens = x.permute(0, 2, 1, 3).reshape(batch, token, channel * mel)
        lin = tokens @ w["vgg7.lin.weight"].T + w["vgg7.lin.bias"]
        sof = tokens @ w["vgg7.sof.weight"].T + w["vgg7.sof.bias"]
        features = (lin * torch.softmax(sof, 1)).sum(1)
    else:
        lin = F.conv2d(x, w["vgg7.lin.weight"], w["vgg7.lin.bias"])
        sof = F.conv2d(x, w["vgg7.sof.weight"], w["vgg7.sof.bias"])
        pooled = (lin * torch.softmax(sof, 2)).sum(2)
        features = torch.cat([pooled, pooled @ pooled.transpose(1, 2)], 2).reshape(1, -1)
    return (features @ w["adv.weight"].T + w["adv.bias"])[0].numpy()


def random_weights(pooling: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """A complete checkpoint in the original key layout, with plausible random values."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        fan_in = int(np.prod(shape[1:])) or 1
        return torch.randn(shape, generator=generator) / fan_in**0.5

    def positive(size: int) -> torch.Tensor:
        return torch.rand(size, generator=generator) + 0.5

    weights = {}
    for i in range(1, 8):
        weights[f"vgg7.l{i}.conv.weight"] = normal(13, 1 if i == 1 else 13, 3, 3)
        weights[f"vgg7.l{i}.norm.weight"] = positive(13)
        weights[f"vgg7.l{i}.norm.bias"] = normal(13)
        weights[f"vgg7.l{i}.norm.running_mean"] = normal(13) * (30 if i == 1 else 1)
        weights[f"vgg7.l{i}.norm.running_var"] = positive(13) * (900 if i == 1 else 1)
        weights[f"vgg7.l{i}.norm.num_batches_tracked"] = torch.tensor(7)
    size = (169, 169) if pooling == "token" else (13, 13, 1, 1)
    for layer in ("lin", "sof"):
        weights[f"vgg7.{layer}.weight"] = normal(*size)
        weights[f"vgg7.{layer}.bias"] = normal(size[0])
    time, bins = np.arange(64), np.arange(33)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / 64)
    dft = np.exp(-2j * np.pi * np.outer(bins, time) / 64) * window
    weights["vgg7.spectrogram_extractor.conv_real.weight"] = torch.tensor(dft.real[:, None], dtype=torch.float32)
    weights["vgg7.spectrogram_extractor.conv_imag.weight"] = torch.tensor(dft.imag[:, None], dtype=torch.float32)
    weights["vgg7.logmel_extractor.melW"] = torch.tensor(slaney_mel().T.copy(), dtype=torch.float32)
    weights["vgg7.logmel_extractor.amin"] = torch.tensor(1e-10)
    features = 169 if pooling == "token" else 338
    weights["adv.weight"], weights["adv.bias"] = normal(3, features), normal(3)
    return weights
