"""The paper's other students: MobileNetV4 and V3 over a log-mel map, three outputs; parameters named as in timm.

Every block takes and gives the map, (batch, channels, time, bands), and `steps`: the valid time steps of each clip,
(batch,), or None where no clip is padded.
"""

from typing import NamedTuple

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

# `read`, `Wav2SmallError`, `AdvPipeline`: transformers 4.57 copies from a local folder only the files named in this one.
from .audio import read  # noqa: F401
from .configuration_mobilenet_adv import MobileNetAdvConfig
from .errors import Wav2SmallError  # noqa: F401
from .log_mel import LogMel, normalize
from .modeling_adv import AdvPreTrainedModel
from .pipeline_adv import AdvPipeline  # noqa: F401

Steps = torch.Tensor | None


def blank(x: torch.Tensor, steps: Steps) -> torch.Tensor:
    """Set what lies past the end of each clip to zero, in (batch, channels, time, bands)."""
    if steps is None:
        return x
    return x.masked_fill(AdvPreTrainedModel.padding_after(steps, x.shape[2])[:, None, :, None], 0)


def pool(x: torch.Tensor, steps: Steps) -> torch.Tensor:
    """Average (batch, channels, time, bands) over bands and valid steps: (batch, channels, 1, 1)."""
    mean = blank(x, steps).mean(dim=(2, 3), keepdim=True)  # no sum: it overflows in half precision
    return mean if steps is None else mean * (x.shape[2] / steps).to(x.dtype)[:, None, None, None]


class TimeConv2d(nn.Conv2d):
    """Convolution of odd kernel, zero-padded by half of it: the only kind of layer that looks past a clip's end.

    There it sees zeros, as it would beyond the end of a lone clip.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int = 1):
        super().__init__(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
        """Convolve, and count the steps that are left: floor((steps + 2 * padding - kernel) / stride) + 1."""
        x = super().forward(blank(x, steps))
        if steps is not None:
            steps = torch.div(steps - 1, self.stride[0], rounding_mode="floor") + 1  # 2 * padding = kernel - 1
        return x, steps


def depthwise(channels: int, kernel: int, stride: int) -> TimeConv2d:
    """Each channel on its own."""
    return TimeConv2d(channels, channels, kernel, stride, groups=channels)


def pointwise(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Each cell of the map on its own."""
    return nn.Conv2d(in_channels, out_channels, 1, bias=False)


class SqueezeExcite(nn.Module):
    """Channels weighted by what the whole clip holds: a quarter of them in the middle (V3, section 5.3)."""

    def __init__(self, channels: int):
        super().__init__()
        quarter = channels / 4
        reduced = max(8, int(quarter + 4) // 8 * 8)  # the nearest multiple of 8,
        reduced += 8 * (reduced < 0.9 * quarter)  # unless that takes more than a tenth away (the authors' rounding)
        self.conv_reduce = nn.Conv2d(channels, reduced, 1)
        self.conv_expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: torch.Tensor, steps: Steps) -> torch.Tensor:
        """Keep the shape of (batch, channels, time, bands)."""
        weights = self.conv_expand(self.conv_reduce(pool(x, steps)).relu())  # (batch, channels, 1, 1)
        return x * nn.functional.hardsigmoid(weights)


class Conv(nn.Module):
    """Convolution, batch norm, activation."""

    def __init__(self, in_channels: int, kernel: int, out_channels: int, activation: type[nn.Module], stride: int):
        super().__init__()
        self.out_channels = out_channels
        self.conv = TimeConv2d(in_channels, out_channels, kernel, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.act = activation()

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
        x, steps = self.conv(x, steps)
        return self.act(self.bn1(x)), steps


class Separable(nn.Module):
    """Depthwise, then a linear 1x1: V3's first bottleneck, which expands nothing."""

    def __init__(
        self, in_channels: int, kernel: int, out_channels: int, squeeze: bool, activation: type[nn.Module], stride: int
    ):
        super().__init__()
        self.out_channels = out_channels
        self.has_skip = stride == 1 and in_channels == out_channels
        self.conv_dw = depthwise(in_channels, kernel, stride)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.act = activation()
        self.se = SqueezeExcite(in_channels) if squeeze else None
        self.conv_pw = pointwise(in_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
        y, steps = self.conv_dw(x, steps)
        y = self.act(self.bn1(y))
        if self.se is not None:
            y = self.se(y, steps)
        y = self.bn2(self.conv_pw(y))
        return x + y if self.has_skip else y, steps


class Inverted(nn.Module):
    """V3's bottleneck: expanding 1x1, depthwise, squeeze-excite, linear 1x1."""

    def __init__(
        self,
        in_channels: int,
        kernel: int,
        expanded: int,
        out_channels: int,
        squeeze: bool,
        activation: type[nn.Module],
        stride: int,
    ):
        super().__init__()
        self.out_channels = out_channels
        self.has_skip = stride == 1 and in_channels == out_channels
        self.conv_pw = pointwise(in_channels, expanded)
        self.bn1 = nn.BatchNorm2d(expanded)
        self.conv_dw = depthwise(expanded, kernel, stride)
        self.bn2 = nn.BatchNorm2d(expanded)
        self.act = activation()
        self.se = SqueezeExcite(expanded) if squeeze else None
        self.conv_pwl = pointwise(expanded, out_channels)
        self.bn3 = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
        y = self.act(self.bn1(self.conv_pw(x)))
        y, steps = self.conv_dw(y, steps)
        y = self.act(self.bn2(y))
        if self.se is not None:
            y = self.se(y, steps)
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.has_skip else y, steps


class Fused(nn.Module):
    """V4's fused bottleneck: one convolution expands and strides, then a linear 1x1; here always with a stride."""

    def __init__(self, in_channels: int, kernel: int, expanded: int, out_channels: int, stride: int):
        super().__init__()
        self.out_channels = out_channels
        self.conv_exp = TimeConv2d(in_channels, expanded, kernel, stride)
        self.bn1 = nn.BatchNorm2d(expanded)
        self.conv_pwl = pointwise(expanded, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
        x, steps = self.conv_exp(x, steps)
        x = torch.relu(self.bn1(x))
        return self.bn2(self.conv_pwl(x)), steps


class ConvNorm(nn.Sequential):
    """Convolution and batch norm, named as in timm's V4 blocks."""
