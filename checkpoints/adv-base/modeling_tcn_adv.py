"""A temporal convolution network on log-mel frames: arousal, dominance, valence, and how much of a clip is speech."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

# transformers 4.57 copies from a local folder only the files that this one names: hence the unused imports
from .audio import read_audio  # noqa: F401
from .configuration_tcn_adv import TcnAdvConfig
from .errors import Wav2SmallError  # noqa: F401
from .log_mel import FftLogMel, in_float32, normalize
from .modeling_adv import AdvPreTrainedModel
from .pipeline_adv import AdvPipeline  # noqa: F401

VARIANCE_FLOOR = 1e-5  # of the deviation over time: its gradient would be infinite at 0

ACTIVATIONS = {"gelu": nn.GELU, "hardswish": nn.Hardswish, "relu": nn.ReLU}


@dataclass
class TcnAdvOutput(SequenceClassifierOutput):
    """What the network predicts.

    Attributes:
        loss: mean squared error to the labels, where there are any.
        logits: (batch, 3): arousal, dominance, valence, about 0..1, not clipped.
        speech: (batch, 1): the share of the clip in which somebody speaks, 0..1.
    """

    speech: torch.Tensor | None = None


def zero_padding(x: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
    """Set the padded steps of (batch, channels, …, time) to zero; `padding` is (batch, time), true where padded."""
    return x if padding is None else x.masked_fill(over_time(padding, x), 0)


def over_time(padding: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Give a padding (batch, time) the axes of (batch, channels, …, time)."""
    return padding.view(len(padding), *[1] * (x.dim() - 2), -1)


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch norm of (batch, channels, …, time) whose statistics, in training, do not count padding."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        pass  # any number of axes

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:  # type: ignore[override]
        """Normalise (batch, channels, …, time); padded steps become 0."""
        if padding is None or not self.training:
            return zero_padding(super().forward(x), padding)
        valid = over_time(~padding, x).to(x.dtype)
        others = [dim for dim in range(x.dim()) if dim != 1]
        count = valid.sum() * math.prod(x.shape[2:-1])
        shape = (-1, *[1] * (x.dim() - 2))  # of a number for each channel
        mean = (x * valid).sum(dim=others) / count  # (channels,)
        centred = (x - mean.view(shape)) * valid
        variance = centred.square().sum(dim=others) / count
        self._track(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale.view(shape) + self.bias.view(shape) * valid

    @torch.no_grad()
    def _track(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Move the running statistics towards those of a batch, both (channels,), as `nn.BatchNorm1d` does."""
        momentum = 0.1 if self.momentum is None else self.momentum
        for running, batch in ((self.running_mean, mean), (self.running_var, variance)):
            if running is not None:
                running.lerp_(batch.to(running.dtype), momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


class Map(nn.Module):
    """Convolution over bands and time, 3 x 3, which halves the bands; batch norm, ReLU."""

    def __init__(self, config: TcnAdvConfig, inputs: int, outputs: int, stride: int, padding: tuple[int, int]):
        super().__init__()
        branches = config.branches
        self.pad = nn.ZeroPad2d((*padding, 1, 1))
        self.conv = nn.Conv2d(inputs * branches, outputs * branches, 3, stride=(2, stride), groups=branches, bias=False)
        self.norm = MaskedBatchNorm(outputs * branches)

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """Turn (batch, inputs * branches, bands, frames) into (batch, outputs * branches, bands / 2, steps)."""
        return zero_padding(self.norm(self.conv(self.pad(x)), padding).relu(), padding)


class Block(nn.Module):
    """Depthwise convolution over time, batch norm, then two 1x1 convolutions with an activation between; residual."""

    def __init__(self, config: TcnAdvConfig, kernel: int, dilation: int, padding: tuple[int, int]):
        super().__init__()
        width, branches = config.width * config.branches, config.branches
        inner = width * config.expansion
        self.pad = nn.ConstantPad1d(padding, 0.0)
        self.depthwise = nn.Conv1d(width, width, kernel, dilation=dilation, groups=width, bias=False)
        self.norm = MaskedBatchNorm(width)
        self.expand = nn.Conv1d(width, inner, 1, groups=branches)
        self.activation = ACTIVATIONS[config.activation]()
        self.project = nn.Conv1d(inner, width, 1, groups=branches)

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """Keep the size of (batch, width * branches, steps), and its padding zero."""
        y = self.norm(self.depthwise(self.pad(x)), padding)
        return zero_padding(x + self.project(self.activation(self.expand(y))), padding)


class AttentivePooling(nn.Module):
    """The mean over time under softmax weights, once for each head, then the standard deviation over time.

    A head hears the channels of its own branch.
    """

    def __init__(self, config: TcnAdvConfig):
        super().__init__()
        width, heads, self.branches = config.width, config.heads, config.branches
        self.out_features = (heads + 1) * width * self.branches
        self.attention = nn.Conv1d(  # a softmax takes a bias out again
            width * self.branches, heads * self.branches, 1, groups=self.branches, bias=False
        )

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """Pool (batch, width * branches, steps), zero where padded, to (batch, (heads + 1) * width * branches)."""
        scores = self.attention(x)  # (batch, heads * branches, steps)
        if padding is None:
            mean = x.mean(dim=2, keepdim=True)  # (batch, width * branches, 1)
            variance = (x - mean).square().mean(dim=2)
        else:
            scores = scores.masked_fill(padding[:, None], -torch.inf)
            steps = (~padding).sum(dim=1)[:, None]  # (batch, 1)
            mean = x.sum(dim=2, keepdim=True) / steps[:, :, None]
            variance = zero_padding(x - mean, padding).square().sum(dim=2) / steps
        weights, x = (each.unflatten(1, (self.branches, -1)) for each in (scores.softmax(dim=2), x))
        attended = weights @ x.mT  # (batch, branches, heads, width)
        return torch.cat([attended.flatten(1), variance.clamp(min=VARIANCE_FLOOR).sqrt()], dim=1)


def fft_log_mel(config: TcnAdvConfig) -> FftLogMel:
    """The front end that a configuration describes."""
    return FftLogMel(
        config.sampling_rate,
        config.n_fft,
        config.window_length,
        config.hop_length,
        config.n_mels,
        config.f_min,
        config.f_max,
        config.power_floor,
    )


class TcnAdvForAudioClassification(AdvPreTrainedModel):
    """Temporal convolution network: 16 kHz speech in; arousal, dominance, valence and the share of speech out.

    Level normalisation, log-mel spectrogram, batch norm for each band, convolutions over bands and time where
    `config.maps` has some, a strided convolution over time, residual blocks of depthwise-separable convolutions with
    dilation (after arXiv 1803.01271 and 1704.04861), attentive and deviation pooling, linear layers. From the batch
    norm on, there may be several such networks side by side: `branches`.

    A clip needs at least `config.window_length` samples. It gives the same prediction alone and padded in a batch. No
    step hears more than `config.look_ahead` seconds ahead, and what is taken over the whole clip (level, pooling) can
    be kept running: a stream gives what the clip so far would.
    """

    config_class = TcnAdvConfig

    def __init__(self, config: TcnAdvConfig):
        super().__init__(config)
        self.log_mel = fft_log_mel(config)
        paddings, branches = iter(config.paddings), config.branches
        strides = iter([config.stem_stride, *[1] * len(config.maps)])  # the first convolution has it
        self.band_norm = MaskedBatchNorm(config.n_mels * branches)
        self.maps = nn.ModuleList(
            Map(config, inputs, outputs, next(strides), next(paddings))
            for inputs, outputs in pairwise([1, *config.maps])
        )
        self.stem_pad = nn.ConstantPad1d(next(paddings), 0.0)
        self.stem = nn.Conv1d(
            config.stem_channels * branches,
            config.width * branches,
            config.stem_kernel,
            stride=next(strides),
            groups=config.stem_groups * branches,
        )
        self.activation = ACTIVATIONS[config.activation]()
        self.blocks = nn.ModuleList(
            Block(config, kernel, dilation, padding)
            for kernel, dilation, padding in zip(config.kernel_sizes, config.dilations, paddings, strict=True)
        )
        self.norm = MaskedBatchNorm(config.width * branches)
        self.pooling = AttentivePooling(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(self.pooling.out_features, config.num_labels)
        self.speech = nn.Conv1d(config.width * branches, branches, 1, groups=branches)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, FftLogMel | nn.Conv1d | nn.Conv2d):
            module.reset_parameters()
        else:
            super()._init_weights(module)

    def features(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Hear each moment of a clip.

        Args:
            input_values: see `forward`.
            attention_mask: see `forward`.

        Returns:
            Features (batch, width * branches, steps), zero where padded, and the padding (batch, steps), true where
            padded, or `None` without a mask. A step is `config.stem_stride * config.hop_length` samples.
        """
        x = self.log_mel(normalize(input_values, attention_mask)).mT  # (batch, bands, frames)
        frames, padding = None, None
        if attention_mask is not None:
            frames = self.log_mel.frames(attention_mask.sum(dim=1))  # (batch,)
            padding = self.padding_after(frames, x.shape[2])  # (batch, frames)
        x = self.band_norm(x.repeat(1, self.config.branches, 1), padding)
        if self.training:
            x = self.mask(x.reshape(-1, self.config.n_mels, x.shape[2])).reshape(x.shape)  # each branch its own
        if frames is not None:
            stride = self.config.stem_stride
            steps = torch.div(frames - 1, stride, rounding_mode="floor") + 1
            padding = self.padding_after(steps, (x.shape[2] - 1) // stride + 1)  # (batch, steps)
        if self.maps:
            x = x.unflatten(1, (self.config.branches, -1))  # (batch, branches, bands, frames)
            for each in self.maps:
                x = each(x, padding)
            x = x.flatten(1, 2)  # (batch, stem_channels * branches, steps)
        x = self.stem(self.stem_pad(x))  # (batch, width * branches, steps)
        x = zero_padding(self.activation(x), padding)
        for block in self.blocks:
            x = block(x, padding)
        return self.norm(x, padding), padding

    def mask(self, x: torch.Tensor) -> torch.Tensor:
        """Set random neighbouring bands and frames of each clip (batch, bands, frames) to 0, the mean (SpecAugment)."""
        bands, seconds = self.config.mask_bands, self.config.mask_seconds
        frames = round(seconds * self.config.sampling_rate / self.config.hop_length)
        for dim, most in ((1, bands), (2, frames)):
            if most:
                size = x.shape[dim]
                length = torch.rand(len(x), 1, device=x.device) * (min(most, size) + 1)
                start = torch.rand(len(x), 1, device=x.device) * (size - length).clamp(min=0)
                places = torch.arange(size, device=x.device)[None]  # (1, size)
                masked = (places >= start.floor()) & (places < start.floor() + length.floor())
                x = x.masked_fill(masked[:, :, None] if dim == 1 else masked[:, None], 0)
        return x

    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
    ) -> TcnAdvOutput | tuple[torch.Tensor, ...]:
        """Predict arousal, dominance and valence, and how much of the clip is speech.

        Args:
            input_values: (batch, samples), PCM at `config.sampling_rate`; the level does not matter.
            attention_mask: (batch, samples), 1 for samples, 0 for padding, which must come after the clip.
            labels: (batch, 3), about 0..1; gives the mean squared error as `loss`.
            return_dict: `False` for a tuple: the loss where there are labels, logits, speech.

        Returns:
            `logits` (batch, 3): arousal, dominance, valence, about 0..1, not clipped.
            `speech` (batch, 1): the share of the clip in which somebody speaks, 0..1: the mean over its steps.

        Raises:
            ValueError: if `input_values` holds fewer than `config.window_length` samples.
        """
        self.check_length(input_values, self.config.window_length)
        x, padding = self.features(input_values, attention_mask)
        logits, speech = self.heads(x, padding)
        output = self.output(logits, labels, return_dict)
        if isinstance(output, tuple):
            return (*output, speech)
        return TcnAdvOutput(**output, speech=speech)

    @in_float32
    def heads(self, x: torch.Tensor, padding: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn features, see `features`, into logits (batch, 3) and the share of speech (batch, 1)."""
        logits = self.classifier(self.dropout(self.pooling(x, padding)))
        probability = zero_padding(self.speech(x).sigmoid(), padding)  # (batch, branches, steps)
        speech = probability.mean(dim=2) if padding is None else probability.sum(dim=2) / (~padding).sum(1)[:, None]
        return logits, speech.mean(dim=1, keepdim=True)
