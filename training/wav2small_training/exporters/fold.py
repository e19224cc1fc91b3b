"""A trained student -> the same function of a waveform, arranged so that ONNX Runtime runs it fast.

What is changed, and why (`benchmarks/latency.py` measures it):

- Time is the last axis of every map. Convolutions and the softmax then run along rows of thousands of steps, not of 26.
- Batch norm is part of the convolution before it, and the factor of the decibels part of the convolution after it.
- A linear layer over tokens is a convolution as high as the map, so that no transpose is needed.
- What a softmax or a sum over time cancels is left out: see [`FoldedTokenPooling`].
- Real and imaginary parts of the DFT are one convolution.
"""

import copy
import math

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import PreTrainedModel

from wav2small.models.errors import Wav2SmallError
from wav2small.models.log_mel import POWER_FLOOR, LogMel, normalize
from wav2small.models.modeling_wav2small import GramPooling, TokenPooling

from .fold_tcn import FoldedTcn

NEPERS = 10 / math.log(10)  # decibels of power per unit of its natural logarithm
POOL_CHANNELS = 4  # ONNX Runtime pools quickly where the channels are a multiple of this (its `channel alignment`)


def fold(model: PreTrainedModel) -> nn.Module:
    """Rearrange a student for inference.

    Args:
        model: a student; it stays as it is.

    Returns:
        A module that turns (batch, samples) into logits (batch, 3), equal to the model's without a mask; that of a
        temporal convolution network gives a tuple of logits and speech (batch, 1).

    Raises:
        Wav2SmallError: if this kind of model has no folded form.
    """
    if model.config.model_type not in FOLDED:
        raise Wav2SmallError(f"there is no folded form of {model.config.model_type}, only of {', '.join(FOLDED)}")
    with torch.no_grad():
        return FOLDED[model.config.model_type](copy.deepcopy(model).eval()).eval().requires_grad_(False)


class FoldedLogMel(nn.Module):
    """[`LogMel`] that gives (batch, 1, bands, frames) and the natural logarithm of the power."""

    dft: torch.Tensor  # (2 * bins, 1, n_fft): cosines, then sines
    mel: torch.Tensor  # (bands, 2 * bins): sums the squares of both parts, too

    def __init__(self, log_mel: LogMel):
        super().__init__()
        self.hop_length = log_mel.hop_length
        self.register_buffer("dft", torch.cat([log_mel.conv_real.weight, -log_mel.conv_imag.weight]))
        self.register_buffer("mel", torch.cat([log_mel.mel, log_mel.mel]).T.contiguous())

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Turn (batch, samples) into (batch, 1, bands, frames)."""
        signal = normalize(waveform).unsqueeze(1)  # (batch, 1, samples)
        parts = nn.functional.conv1d(signal, self.dft, stride=self.hop_length)  # (batch, 2 * bins, frames)
        return (self.mel @ parts.square()).clamp(min=POWER_FLOOR).log().unsqueeze(1)


def time_last(conv: nn.Conv2d) -> nn.Conv2d:
    """Exchange time and bands in a convolution whose stride and padding are the same for both."""
    conv.weight = nn.Parameter(conv.weight.transpose(2, 3).contiguous())
    return conv


def widen(conv: nn.Conv2d, following: nn.Conv2d, multiple: int) -> None:
    """Pad a convolution with channels that stay 0, up to a multiple; the following one gets zero weights for them."""
    extra = -conv.out_channels % multiple
    weight, bias = conv.parameters()
    conv.weight = nn.Parameter(nn.functional.pad(weight, (0, 0, 0, 0, 0, 0, 0, extra)))
    conv.bias = nn.Parameter(nn.functional.pad(bias, (0, extra)))
    following.weight = nn.Parameter(nn.functional.pad(following.weight, (0, 0, 0, 0, 0, extra)))
    conv.out_channels = following.in_channels = conv.out_channels + extra


class FoldedTokenPooling(nn.Module):
    """[`TokenPooling`] and the classifier.

    The bias of `sof` is the same at all times: the softmax cancels it. The weights over time sum to 1, so the bias of
    `lin` can be added after the sum: it becomes part of the classifier's bias.
    """

    def __init__(self, pooling: TokenPooling, classifier: nn.Linear, channels: int):
        super().__init__()
        self.lin, self.sof = (self.as_convolution(layer, channels) for layer in (pooling.lin, pooling.sof))
        self.classifier = classifier
        classifier.bias = nn.Parameter(classifier.bias + classifier.weight @ pooling.lin.bias)

    @staticmethod
    def as_convolution(linear: nn.Linear, channels: int) -> nn.Conv2d:
        """A linear layer over tokens of channels * bands -> a convolution as high as the map."""
        bands = linear.in_features // channels
        conv = nn.Conv2d(channels, linear.out_features, (bands, 1), bias=False)
        conv.weight = nn.Parameter(linear.weight.view_as(conv.weight))
        return conv

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn (batch, channels, bands, time) into (batch, 3)."""
        weights = self.sof(x).softmax(dim=3)  # (batch, channels * bands, 1, time)
        logits: torch.Tensor = self.classifier((self.lin(x) * weights).sum(dim=(2, 3)))
        return logits


class FoldedGramPooling(nn.Module):
    """[`GramPooling`] and the classifier, without the bias of `sof` and with that of `lin` after the sum over time."""

    def __init__(self, pooling: GramPooling, classifier: nn.Linear, channels: int):
        super().__init__()
        self.lin, self.sof, self.classifier = pooling.lin, pooling.sof, classifier
        _, bias = pooling.lin.parameters()
        self.bias = nn.Parameter(bias.view(channels, 1))
        self.lin.bias = self.sof.bias = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn (batch, channels, bands, time) into (batch, 3)."""
        pooled = (self.lin(x) * self.sof(x).softmax(dim=3)).sum(dim=3) + self.bias  # (batch, channels, bands)
        gram = pooled @ pooled.transpose(1, 2)  # (batch, channels, channels)
        logits: torch.Tensor = self.classifier(torch.cat([pooled, gram], dim=2).flatten(1))
        return logits


class FoldedWav2Small(nn.Module):
    """Wav2Small for inference."""

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.log_mel = FoldedLogMel(model.log_mel)
        self.convs = nn.ModuleList(time_last(fuse_conv_bn_eval(block.conv, block.norm)) for block in model.convs)
        next(self.convs[0].parameters()).mul_(NEPERS)
        self.pool_after, self.max_pool = model.pool_after, model.max_pool
        widen(self.convs[self.pool_after - 1], self.convs[self.pool_after], POOL_CHANNELS)
        folded = FoldedTokenPooling if model.config.pooling == "token" else FoldedGramPooling
        self.pooling = folded(model.pooling, model.classifier, model.config.channels)

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        """Turn (batch, samples) into (batch, 3)."""
        x = self.log_mel(input_values)  # (batch, 1, bands, frames)
        for i, conv in enumerate(self.convs):
            x = conv(x).relu()
            if i + 1 == self.pool_after:
                x = self.max_pool(x)  # (batch, channels, bands / 2, time)
        logits: torch.Tensor = self.pooling(x)
        return logits


class FoldedMobileNet(nn.Module):
    """A MobileNet for inference; the exporter folds its batch norm."""

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.log_mel, self.backbone = FoldedLogMel(model.log_mel), model.backbone
        for module in self.backbone.modules():
            if isinstance(module, nn.Conv2d):
                time_last(module)
        self.backbone.conv_stem.weight *= NEPERS

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        """Turn (batch, samples) into (batch, 3)."""
        logits: torch.Tensor = self.backbone(self.log_mel(input_values))
        return logits


FOLDED = {"wav2small": FoldedWav2Small, "mobilenet_adv": FoldedMobileNet, "tcn_adv": FoldedTcn}
