"""The first blocks of a Whisper encoder (arXiv 2212.04356), for clips of their own length instead of 30 s.

The names of the weights are those of `WhisperEncoder` in transformers, which takes nothing but 30 s of input.
"""

from functools import cache

import numpy as np
import torch
from torch import nn
from transformers import WhisperConfig
from transformers.audio_utils import mel_filter_bank

WINDOW, HOP = 400, 160  # samples: 25 and 10 ms
LEAST_SAMPLES = 4800  # 0.3 s; a shorter clip is filled with zeros: its few frames would have no deviation
MOST_SECONDS = 30  # that the position embeddings of all published models cover
POWER_FLOOR = 1e-10  # of the logarithm
RANGE = 8.0  # of the log-mel spectrogram below its maximum, in powers of ten


@cache
def dft() -> np.ndarray:
    """The windowed DFT, (2 * bins, 1, samples) float32: cosines, then sines, under a periodic Hann window."""
    time = np.arange(WINDOW)
    angle = 2 * np.pi / WINDOW * np.outer(np.arange(WINDOW // 2 + 1), time)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * time / WINDOW)
    return (np.concatenate([np.cos(angle), np.sin(angle)]) * hann)[:, None].astype(np.float32)


@cache
def mel_bands(bands: int) -> np.ndarray:
    """Slaney's mel bands from 0 to 8 kHz, (bands, bins) float32, as in Whisper's feature extractor."""
    matrix = mel_filter_bank(WINDOW // 2 + 1, bands, 0.0, 8000.0, 16000, "slaney", "slaney")
    return np.ascontiguousarray(matrix.T, dtype=np.float32)


def reflect(waveform: torch.Tensor, samples: torch.Tensor | None) -> torch.Tensor:
    """Put half a window of mirrored signal before and after each clip; (batch, length) -> (batch, length + 400)."""
    half = WINDOW // 2
    if samples is None:
        return nn.functional.pad(waveform, (half, half), mode="reflect")
    place = torch.arange(-half, waveform.shape[1] + half, device=waveform.device).abs()[None, :]
    last = samples[:, None] - 1
    return waveform.gather(1, torch.where(place > last, (2 * last - place).clamp(min=0), place))


def log_mel(waveform: torch.Tensor, bands: int, samples: torch.Tensor | None) -> torch.Tensor:
    """Whisper's spectrogram of a batch.

    Args:
        waveform: (batch, length) float32.
        bands: of the spectrogram.
        samples: (batch,), length of each clip; `None` where there is no padding.

    Returns:
        (batch, bands, length // 160), (log10 of power, at most 8 below the maximum of the clip, + 4) / 4; zero beyond
        the end of a clip.
    """
    fourier, mel = (torch.from_numpy(constant).to(waveform.device) for constant in (dft(), mel_bands(bands)))
    parts = nn.functional.conv1d(reflect(waveform, samples).unsqueeze(1), fourier, stride=HOP)[:, :, :-1]
    real, imaginary = parts.chunk(2, dim=1)  # (batch, bins, frames)
    power = mel @ (real.square() + imaginary.square())
    spectrogram = power.clamp(min=POWER_FLOOR).log10()  # (batch, bands, frames)
    if samples is not None:
        beyond = torch.arange(spectrogram.shape[2], device=waveform.device)[None, :] >= (samples // HOP)[:, None]
        spectrogram = spectrogram.masked_fill(beyond[:, None], -torch.inf)
    highest = spectrogram.amax(dim=(1, 2), keepdim=True)
    spectrogram = (spectrogram.maximum(highest - RANGE) + 4) / 4
    return spectrogram if samples is None else spectrogram.masked_fill(beyond[:, None], 0)


class Attention(nn.Module):
    """Self-attention over time; keys have no bias."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Keep the shape of (batch, steps, width); `valid` is (batch, 1, 1, steps), true where there is no padding."""
        shape = (x.shape[0], -1, self.heads, x.shape[2] // self.heads)
        q, k, v = (each(x).view(shape).transpose(1, 2) for each in (self.q_proj, self.k_proj, self.v_proj))
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=valid)  # (batch, heads, steps, width / heads)
        return self.out_proj(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then two linear layers, each behind a layer norm and beside a residual connection."""

    def __init__(self, width: int, heads: int, inner: int):
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Keep the shape of (batch, steps, width)."""
        x = x + self.self_attn(self.self_attn_layer_norm(x), valid)
        return x + self.fc2(nn.functional.gelu(self.fc1(self.final_layer_norm(x))))


class WhisperBlocks(nn.Module):
    """Log-mel spectrogram, two convolutions, positions, and the first blocks of a Whisper encoder.

    Args:
        config: a `WhisperConfig`, whose `encoder_layers` says how many blocks there are.
    """

    def __init__(self, config: WhisperConfig):
        super().__init__()
        width = config.d_model
        self.bands, self.most_samples = config.num_mel_bins, 2 * HOP * config.max_source_positions
        self.conv1 = nn.Conv1d(self.bands, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.max_source_positions, width)
        self.layers = nn.ModuleList(
            Block(width, config.encoder_attention_heads, config.encoder_ffn_dim) for _ in range(config.encoder_layers)
        )

    def forward(
        self, waveform: torch.Tensor, samples: torch.Tensor | None
    ) -> tuple[list[torch.Tensor], torch.Tensor | None]:
        """Encode a batch.

        Args:
            waveform: (batch, length) float32, at 16 kHz, at least 4800 and at most 480,000 samples.
            samples: (batch,), length of each clip, at least 4800; `None` where there is no padding.

        Returns:
            The state after each block, (batch, steps, width), 20 ms a step; and the padding, (batch, steps), true
            where padded, or `None`.
        """
        valid = padding = None
        device = waveform.device.type
        with torch.autocast(device, enabled=False):  # half precision has too few digits for a power spectrum
            x = log_mel(waveform, self.bands, samples)
        x = nn.functional.gelu(self.conv1(x.to(self.conv1.weight.dtype)))  # (batch, width, frames)
        if samples is not None:
            frames = (samples // HOP)[:, None]
            x = x.masked_fill((torch.arange(x.shape[2], device=x.device)[None, :] >= frames)[:, None], 0)
        x = nn.functional.gelu(self.conv2(x)).transpose(1, 2)  # (batch, steps, width)
        x = x + self.embed_positions.weight[: x.shape[1]]
        if samples is not None:
            padding = torch.arange(x.shape[1], device=x.device)[None, :] >= (frames + 1) // 2  # (batch, steps)
            valid = ~padding[:, None, None]
        states = []
        for layer in self.layers:
            x = layer(x, valid)
            states.append(x)
        return states, padding
