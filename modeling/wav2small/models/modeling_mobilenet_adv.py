"""The paper's other students: MobileNetV4 and V3 over a log-mel map, three outputs; parameters named as in timm.

Every block takes and gives the map, (batch, channels, time, bands), and `steps`: the valid time steps of each clip,
(batch,), or None where no clip is padded.
"""

from collections import OrderedDict
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

# `read`, `Wav2SmallError`, `AdvPipeline`: transformers 4.57 copies from a local folder only the files named here.
from .audio import read_audio  # noqa: F401
from .configuration_mobilenet_adv import MobileNetAdvConfig
from .errors import Wav2SmallError  # noqa: F401
from .log_mel import LogMel, in_float32, normalize
from .modeling_adv import AdvPreTrainedModel
from .pipeline_adv import AdvPipeline  # noqa: F401

Steps = torch.Tensor | None
Activation = type[nn.Module]
RE, HS = nn.ReLU, nn.Hardswish  # as table 1 of V3 calls them


def blank(x: torch.Tensor, steps: Steps) -> torch.Tensor:
    """Set what lies past the end of each clip to zero, in (batch, channels, time, bands)."""
    if steps is None:
        return x
    return x.masked_fill(AdvPreTrainedModel.padding_after(steps, x.shape[2])[:, None, :, None], 0)


def pool(x: torch.Tensor, steps: Steps) -> torch.Tensor:
    """Average (batch, channels, time, bands) over bands and valid steps: (batch, channels, 1, 1)."""
    mean = blank(x, steps).mean(dim=(2, 3), keepdim=True)  # no sum: it overflows in half precision
    if steps is None:
        return mean
    share = steps.to(torch.promote_types(x.dtype, torch.float32)) / x.shape[2]  # float16 cannot count the steps
    return (mean / share[:, None, None, None]).to(x.dtype)


class TimeConv2d(nn.Conv2d):
    """Convolution of odd kernel, zero-padded by half of it: the only kind of layer that looks past a clip's end.

    There it sees zeros, as it would beyond the end of a lone clip.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int = 1):
        super().__init__(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:  # type: ignore[override]
        """Convolve, and count the valid steps of the result: floor((steps + 2 * padding - kernel) / stride) + 1."""
        x = super().forward(blank(x, steps))
        if steps is not None:
            steps = torch.div(steps - 1, self.stride[0], rounding_mode="floor") + 1  # 2 * padding = kernel - 1
        return x, steps


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

    def __init__(self, in_channels: int, kernel: int, out_channels: int, act: Activation, stride: int):
        super().__init__()
        self.out_channels = out_channels
        self.conv = TimeConv2d(in_channels, out_channels, kernel, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.act = act()

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
        """Turn (batch, in_channels, time, bands) into (batch, out_channels, time / stride, bands / stride)."""
        x, steps = self.conv(x, steps)
        return self.act(self.bn1(x)), steps


class Separable(nn.Module):
    """Depthwise, then a linear 1x1: V3's first bottleneck, which expands nothing."""

    def __init__(self, in_channels: int, kernel: int, out_channels: int, se: bool, act: Activation, stride: int):
        super().__init__()
        self.out_channels = out_channels
        self.has_skip = stride == 1 and in_channels == out_channels
        self.conv_dw = TimeConv2d(in_channels, in_channels, kernel, stride, groups=in_channels)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.act = act()
        self.se = SqueezeExcite(in_channels) if se else None
        self.conv_pw = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
        """Turn (batch, in_channels, time, bands) into (batch, out_channels, time / stride, bands / stride)."""
        y, steps = self.conv_dw(x, steps)
        y = self.act(self.bn1(y))
        if self.se is not None:
            y = self.se(y, steps)
        y = self.bn2(self.conv_pw(y))
        return x + y if self.has_skip else y, steps


class Inverted(nn.Module):
    """V3's bottleneck: expanding 1x1, depthwise, squeeze-excite, linear 1x1."""

    def __init__(
        self, in_channels: int, kernel: int, expanded: int, out_channels: int, se: bool, act: Activation, stride: int
    ):
        super().__init__()
        self.out_channels = out_channels
        self.has_skip = stride == 1 and in_channels == out_channels
        self.conv_pw = nn.Conv2d(in_channels, expanded, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(expanded)
        self.conv_dw = TimeConv2d(expanded, expanded, kernel, stride, groups=expanded)
        self.bn2 = nn.BatchNorm2d(expanded)
        self.act = act()
        self.se = SqueezeExcite(expanded) if se else None
        self.conv_pwl = nn.Conv2d(expanded, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
        """Turn (batch, in_channels, time, bands) into (batch, out_channels, time / stride, bands / stride)."""
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
        self.conv_pwl = nn.Conv2d(expanded, out_channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
        """Turn (batch, in_channels, time, bands) into (batch, out_channels, time / stride, bands / stride)."""
        x, steps = self.conv_exp(x, steps)
        x = torch.relu(self.bn1(x))
        return self.bn2(self.conv_pwl(x)), steps


class DepthwiseNorm(nn.Module):
    """Depthwise convolution and batch norm: a part of V4's bottleneck."""

    def __init__(self, channels: int, kernel: int, stride: int):
        super().__init__()
        self.conv = TimeConv2d(channels, channels, kernel, stride, groups=channels)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
        """Turn (batch, in_channels, time, bands) into (batch, out_channels, time / stride, bands / stride)."""
        x, steps = self.conv(x, steps)
        return self.bn(x), steps


def pointwise_norm(in_channels: int, out_channels: int) -> nn.Sequential:
    """1x1 convolution and batch norm: a part of V4's bottleneck."""
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(out_channels)))


class Universal(nn.Module):
    """V4's universal inverted bottleneck (UIB): a depthwise convolution before the expansion, one after it, or none.

    A kernel of 0 leaves that convolution out. The paper's names: both, ExtraDW; only the second, IB; only the first,
    ConvNext; neither, FFN.
    """

    def __init__(self, in_channels: int, start: int, mid: int, expanded: int, out_channels: int, stride: int):
        super().__init__()
        self.out_channels = out_channels
        self.has_skip = stride == 1 and in_channels == out_channels
        self.dw_start = DepthwiseNorm(in_channels, start, 1 if mid else stride) if start else None
        self.pw_exp = pointwise_norm(in_channels, expanded)
        self.dw_mid = DepthwiseNorm(expanded, mid, stride) if mid else None
        self.pw_proj = pointwise_norm(expanded, out_channels)

    def forward(self, x: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
        """Turn (batch, in_channels, time, bands) into (batch, out_channels, time / stride, bands / stride)."""
        y = x
        if self.dw_start is not None:
            y, steps = self.dw_start(y, steps)
        y = torch.relu(self.pw_exp(y))
        if self.dw_mid is not None:
            y, steps = self.dw_mid(y, steps)
            y = torch.relu(y)
        y = self.pw_proj(y)
        return x + y if self.has_skip else y, steps


class Architecture(NamedTuple):
    """One network; the defaults are V4's. A row of `stages`: a block, and what it takes after the input channels."""

    stages: tuple[tuple[tuple[Any, ...], ...], ...]  # rows of the paper's table, grouped as in timm
    stem: int = 32  # channels of the 3x3 convolution of stride 2 that comes first
    head: int = 1280  # channels of the 1x1 convolution after the pooling
    head_norm: bool = True  # batch norm after it, else a bias
    activation: Activation = RE  # of the stem and the head


ARCHITECTURES = {
    # arXiv 2404.10518, appendix, MNv4-Conv-S; columns of Universal: DW K1, DW K2, expanded, output, stride.
    # Its FusedIB rows are two convolutions with an activation each in the authors' code, therefore here.
    "mobilenetv4_conv_small": Architecture(
        stages=(
            ((Conv, 3, 32, RE, 2), (Conv, 1, 32, RE, 1)),
            ((Conv, 3, 96, RE, 2), (Conv, 1, 64, RE, 1)),
            ((Universal, 5, 5, 192, 96, 2), *[(Universal, 0, 3, 192, 96, 1)] * 4, (Universal, 3, 0, 384, 96, 1)),
            (
                (Universal, 3, 3, 576, 128, 2),
                (Universal, 5, 5, 512, 128, 1),
                (Universal, 0, 5, 512, 128, 1),
                (Universal, 0, 5, 384, 128, 1),
                *[(Universal, 0, 3, 512, 128, 1)] * 2,
            ),
            ((Conv, 1, 960, RE, 1),),
        ),
    ),
    # the same, MNv4-Conv-M; columns of Fused: kernel, expanded, output, stride
    "mobilenetv4_conv_medium": Architecture(
        stages=(
            ((Fused, 3, 128, 48, 2),),
            ((Universal, 3, 5, 192, 80, 2), (Universal, 3, 3, 160, 80, 1)),
            (
                (Universal, 3, 5, 480, 160, 2),
                *[(Universal, 3, 3, 640, 160, 1)] * 2,
                (Universal, 3, 5, 640, 160, 1),
                (Universal, 3, 3, 640, 160, 1),
                (Universal, 3, 0, 640, 160, 1),
                (Universal, 0, 0, 320, 160, 1),
                (Universal, 3, 0, 640, 160, 1),
            ),
            (
                (Universal, 5, 5, 960, 256, 2),
                (Universal, 5, 5, 1024, 256, 1),
                *[(Universal, 3, 5, 1024, 256, 1)] * 2,
                (Universal, 0, 0, 1024, 256, 1),
                (Universal, 3, 0, 1024, 256, 1),
                (Universal, 3, 5, 512, 256, 1),
                (Universal, 5, 5, 1024, 256, 1),
                *[(Universal, 0, 0, 1024, 256, 1)] * 2,
                (Universal, 5, 0, 512, 256, 1),
            ),
            ((Conv, 1, 960, RE, 1),),
        ),
    ),
    # arXiv 1905.02244, table 2; columns: kernel, expanded (not in Separable), output, SE, NL, stride
    "mobilenetv3_small_100": Architecture(
        stages=(
            ((Separable, 3, 16, True, RE, 2),),
            ((Inverted, 3, 72, 24, False, RE, 2), (Inverted, 3, 88, 24, False, RE, 1)),
            ((Inverted, 5, 96, 40, True, HS, 2), *[(Inverted, 5, 240, 40, True, HS, 1)] * 2),
            ((Inverted, 5, 120, 48, True, HS, 1), (Inverted, 5, 144, 48, True, HS, 1)),
            ((Inverted, 5, 288, 96, True, HS, 2), *[(Inverted, 5, 576, 96, True, HS, 1)] * 2),
            ((Conv, 1, 576, HS, 1),),
        ),
        stem=16,
        head=1024,
        head_norm=False,
        activation=HS,
    ),
    # arXiv 1905.02244, table 1
    "mobilenetv3_large_100": Architecture(
        stages=(
            ((Separable, 3, 16, False, RE, 1),),
            ((Inverted, 3, 64, 24, False, RE, 2), (Inverted, 3, 72, 24, False, RE, 1)),
            ((Inverted, 5, 72, 40, True, RE, 2), *[(Inverted, 5, 120, 40, True, RE, 1)] * 2),
            (
                (Inverted, 3, 240, 80, False, HS, 2),
                (Inverted, 3, 200, 80, False, HS, 1),
                *[(Inverted, 3, 184, 80, False, HS, 1)] * 2,
            ),
            ((Inverted, 3, 480, 112, True, HS, 1), (Inverted, 3, 672, 112, True, HS, 1)),
            ((Inverted, 5, 672, 160, True, HS, 2), *[(Inverted, 5, 960, 160, True, HS, 1)] * 2),
            ((Conv, 1, 960, HS, 1),),
        ),
        stem=16,
        head_norm=False,
        activation=HS,
    ),
}


class MobileNet(nn.Module):
    """One of `ARCHITECTURES` with one input channel; takes the state dict of timm's network of that name as it is.

    `timm.create_model(name, in_chans=1, num_classes=3).state_dict()` has the same keys and shapes, the classifier's
    among them, and both give the same outputs.
    """

    def __init__(self, name: str, num_labels: int):
        super().__init__()
        stages, stem, head, head_norm, activation = ARCHITECTURES[name]
        self.conv_stem = TimeConv2d(1, stem, kernel=3, stride=2)
        self.bn1 = nn.BatchNorm2d(stem)
        self.act = activation()
        self.blocks, channels = nn.ModuleList(), stem
        for rows in stages:
            stage = nn.ModuleList()
            for kind, *row in rows:
                block = kind(channels, *row)
                channels = block.out_channels
                stage.append(block)
            self.blocks.append(stage)
        self.conv_head = nn.Conv2d(channels, head, 1, bias=not head_norm)
        self.norm_head = nn.BatchNorm2d(head) if head_norm else nn.Identity()
        self.classifier = nn.Linear(head, num_labels)

    def forward(self, x: torch.Tensor, steps: Steps = None) -> torch.Tensor:
        """Turn a map (batch, 1, time, bands) into (batch, num_labels)."""
        x, steps = self.conv_stem(x, steps)  # (batch, stem, time / 2, bands / 2)
        x = self.act(self.bn1(x))
        for stage in self.blocks:
            for block in stage.children():
                x, steps = block(x, steps)
        return self.head(x, steps)

    @in_float32
    def head(self, x: torch.Tensor, steps: Steps) -> torch.Tensor:
        """Turn a map (batch, channels, time / 32, bands / 32) into (batch, num_labels)."""
        x = self.conv_head(pool(x, steps))  # (batch, head, 1, 1)
        return self.classifier(self.act(self.norm_head(x)).flatten(1))


class MobileNetAdvForAudioClassification(AdvPreTrainedModel):
    """A MobileNet (V4: arXiv 2404.10518; V3: arXiv 1905.02244) that hears arousal, dominance and valence.

    The paper (arXiv 2408.13920) compares Wav2Small with four such students, of which only MobileNetV4-S is known by
    size. Their front end is taken to be Wav2Small's: 500 frames a second and a stride of 32 leave the 16 tokens a
    second that are reported for MobileNetV4-S. Time stands in the place of an image's height.

    A clip needs at least `config.n_fft` samples. It gives the same prediction alone and padded in a batch: steps past
    its end are zero before each convolution that looks across time and do not count in any average. In training the
    statistics of batch norm do count them: train on clips of one length.
    """

    config_class = MobileNetAdvConfig

    def __init__(self, config: MobileNetAdvConfig):
        super().__init__(config)
        self.log_mel = LogMel(
            config.sampling_rate, config.n_fft, config.hop_length, config.n_mels, config.f_min, config.f_max
        )
        self.backbone = MobileNet(config.backbone, config.num_labels)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            # depthwise: torch would count the outputs of all channels as the fan-out of each
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        else:
            super()._init_weights(module)

    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[torch.Tensor, ...]:
        """Predict arousal, dominance and valence.

        Args:
            input_values: (batch, samples), PCM at `config.sampling_rate`; the level does not matter.
            attention_mask: (batch, samples), 1 for samples, 0 for padding, which must come after the clip.
            labels: (batch, 3), about 0..1; gives the mean squared error as `loss`.
            return_dict: `False` for a tuple.

        Returns:
            `logits` (batch, 3): arousal, dominance, valence, about 0..1, not clipped.

        Raises:
            ValueError: if `input_values` holds fewer than `config.n_fft` samples.
        """
        self.check_length(input_values, self.config.n_fft)
        x = self.log_mel(normalize(input_values, attention_mask)).unsqueeze(1)  # (batch, 1, frames, bands)
        steps = None if attention_mask is None else self.log_mel.frames(attention_mask.sum(dim=1))
        return self.output(self.backbone(x, steps), labels, return_dict)
