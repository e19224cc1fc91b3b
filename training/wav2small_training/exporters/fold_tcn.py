"""The temporal convolution network -> the same function of a waveform, arranged so that ONNX Runtime is quick with it.

What is changed, and why (`latency.py` measures it):

- The DFT is two matrix products, of what is even and what is odd about the middle of a window: half the work of the
  plain ones. ONNX Runtime's own `STFT` takes twice their time.
- Bins that no band hears are left out.
- Time is the last axis everywhere, and maps are 2-D, one row high: fast convolutions of ONNX Runtime are 2-D.
- Batch norm is part of the convolutions around it, or one product and one sum for each band.
"""

import copy
import math
from typing import cast

import torch
from torch import nn

from wav2small.models.log_mel import FftLogMel, normalize
from wav2small.models.modeling_tcn_adv import VARIANCE_FLOOR, Block, Map, MaskedBatchNorm, TcnAdvForAudioClassification


class FoldedFftLogMel(nn.Module):
    """[`FftLogMel`] that gives (batch, bands, frames) and the natural logarithm of the power."""

    cosines: torch.Tensor  # (bins, window_length / 2), under half a Hann window
    sines: torch.Tensor  # the same
    mel: torch.Tensor  # (bands, bins)

    def __init__(self, log_mel: FftLogMel):
        super().__init__()
        self.hop_length, self.half_window = log_mel.hop_length, log_mel.window_length // 2
        self.power_floor = log_mel.power_floor
        (heard,) = log_mel.mel.sum(dim=1).nonzero(as_tuple=True)
        self.first_bin = int(heard.min())
        bins = torch.arange(self.first_bin, int(heard.max()) + 1)
        time = torch.arange(self.half_window, dtype=torch.float64)  # from the middle of the window on
        angle = 2 * math.pi / log_mel.n_fft * torch.outer(bins.double(), time)
        window = 0.5 + 0.5 * torch.cos(math.pi / self.half_window * time)
        cosines = angle.cos() * window
        cosines[:, 0] /= 2  # the middle is added to itself
        self.register_buffer("cosines", cosines.float())
        self.register_buffer("sines", (angle.sin() * window).float())
        self.register_buffer("mel", log_mel.mel[bins].T.contiguous())

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Turn (batch, samples) into (batch, bands, frames)."""
        windows = self.windows(normalize(waveform))
        later = windows[:, self.half_window :]
        earlier = windows[:, 1 : self.half_window + 1].flip(1)  # the first sample has no weight
        power = (self.cosines @ (later + earlier)).square() + (self.sines @ (later - earlier)).square()
        return (self.mel @ power).clamp(min=self.power_floor).log()

    def windows(self, signal: torch.Tensor) -> torch.Tensor:
        """Turn (batch, samples) into (batch, window_length, frames), by copies of whole rows."""
        length, hop = 2 * self.half_window, self.hop_length
        further = -(-length // hop) - 1  # hops of a window after its first
        signal = nn.functional.pad(signal, (0, (further + 1) * hop - length))
        hops = (
            signal[:, : signal.shape[1] // hop * hop].reshape(signal.shape[0], -1, hop).transpose(1, 2)
        )  # (batch, hop, hops)
        rows = []
        for i in range(further + 1):
            end = hops.shape[2] - further + i
            rows.append(hops[:, : min(hop, length - i * hop), i:end])
        return torch.cat(rows, dim=1)


def affine(norm: MaskedBatchNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift of a batch norm in evaluation: (channels,) each."""
    inputs = torch.tensor([0.0, 1.0], dtype=torch.float64).expand(1, norm.num_features, 2)
    at_0, at_1 = copy.deepcopy(norm).double()(inputs, None)[0].unbind(dim=1)
    return (at_1 - at_0).float(), at_0.float()


def one_row(conv: nn.Conv1d, padding: tuple[int, int]) -> nn.Module:
    """A convolution over time -> the same over maps of one row, with its padding."""
    before, after = padding
    row = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        (1, conv.kernel_size[0]),
        stride=(1, conv.stride[0]),
        padding=(0, min(padding)),
        dilation=(1, conv.dilation[0]),
        groups=conv.groups,
        bias=conv.bias is not None,
    )
    row.weight = nn.Parameter(conv.weight.unsqueeze(2))
    row.bias = conv.bias
    rest = (before - min(padding), after - min(padding), 0, 0)
    return nn.Sequential(nn.ZeroPad2d(rest), row) if any(rest) else row


def folded_map(map: Map) -> nn.Module:
    """A convolution over bands and time for inference, with its batch norm and padding."""
    scale, shift = affine(map.norm)
    map.conv.weight *= scale[:, None, None, None]
    map.conv.bias = nn.Parameter(shift)
    return nn.Sequential(map.pad, map.conv, nn.ReLU())


class FoldedBlock(nn.Module):
    """A residual block for inference."""

    def __init__(self, block: Block):
        super().__init__()
        scale, shift = affine(block.norm)
        block.depthwise.weight *= scale[:, None, None]
        cast("nn.Parameter", block.expand.bias).copy_(block.expand(shift[None, :, None])[0, :, 0])
        self.depthwise = one_row(block.depthwise, block.pad.padding)
        self.expand, self.project = one_row(block.expand, (0, 0)), one_row(block.project, (0, 0))
        self.activation = block.activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep the size of (batch, width, 1, steps)."""
        residual: torch.Tensor = self.project(self.activation(self.expand(self.depthwise(x))))
        return x + residual


class FoldedTcn(nn.Module):
    """The temporal convolution network for inference."""

    scale: torch.Tensor  # (bands * branches, 1): of the natural logarithm
    shift: torch.Tensor  # (bands * branches, 1)

    def __init__(self, model: TcnAdvForAudioClassification):
        super().__init__()
        self.log_mel = FoldedFftLogMel(model.log_mel)
        scale, shift = affine(model.band_norm)
        self.register_buffer("scale", scale[:, None] * 0.5 / math.log(10))
        self.register_buffer("shift", shift[:, None])
        self.maps = nn.Sequential(*(folded_map(cast("Map", each)) for each in model.maps))
        self.stem = one_row(model.stem, model.stem_pad.padding)
        self.activation = model.activation
        self.blocks = nn.Sequential(*(FoldedBlock(cast("Block", block)) for block in model.blocks))
        self.norm, self.classifier = model.norm, model.classifier
        self.attention, self.speech = model.pooling.attention, model.speech
        self.branches = model.config.branches

    def forward(self, input_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn (batch, samples) into logits (batch, 3) and the share of speech (batch, 1)."""
        x = self.log_mel(input_values)  # (batch, bands, frames)
        if self.branches > 1:
            x = x.repeat(1, self.branches, 1)
        x = x * self.scale + self.shift
        if len(self.maps):
            x = self.maps(self.apart(x) if self.branches > 1 else x.unsqueeze(1)).flatten(1, 2)
        x = self.blocks(self.activation(self.stem(x.unsqueeze(2))))  # (batch, width * branches, 1, steps)
        x = self.norm(x.flatten(2), None)
        weights, values = self.apart(self.attention(x).softmax(dim=2)), self.apart(x)
        attended = weights @ values.transpose(-1, -2)  # (batch, [branches,] heads, width)
        variance = (x - x.mean(dim=2, keepdim=True)).square().mean(dim=2)
        pooled = torch.cat([attended.flatten(1), variance.clamp(min=VARIANCE_FLOOR).sqrt()], dim=1)
        speech = self.speech(x).sigmoid().mean(dim=2)
        return self.classifier(pooled), speech.mean(dim=1, keepdim=True) if self.branches > 1 else speech

    def apart(self, x: torch.Tensor) -> torch.Tensor:
        """Give the channels of (batch, channels, steps) an axis for the branches, where there are several."""
        return x.unflatten(1, (self.branches, -1)) if self.branches > 1 else x  # type: ignore[no-untyped-call]
