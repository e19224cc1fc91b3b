"""Wav2Small: seven small convolutions over a log-mel map, softmax pooling over time, three outputs."""

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

# transformers 4.57 copies from a local folder only the files that this one names: hence the unused imports
from .audio import read_audio  # noqa: F401
from .configuration_wav2small import Wav2SmallConfig
from .errors import Wav2SmallError  # noqa: F401
from .log_mel import LogMel, in_float32, normalize
from .modeling_adv import AdvPreTrainedModel
from .pipeline_adv import AdvPipeline  # noqa: F401


def blank(x: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
    """Set the padded steps of (batch, channels, time, bands) to zero; `padding` is (batch, time), true where padded."""
    return x if padding is None else x.masked_fill(padding[:, None, :, None], 0)


class ConvBlock(nn.Module):
    """3x3 convolution without bias, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep the size of (batch, channels, time, bands)."""
        return torch.relu(self.norm(self.conv(x)))


class TokenPooling(nn.Module):
    """The paper's pooling: a time step is one token of all its channels and bands; softmax weights over time."""

    def __init__(self, channels: int, bands: int):
        super().__init__()
        self.out_features = channels * bands
        self.lin = nn.Linear(self.out_features, self.out_features)
        self.sof = nn.Linear(self.out_features, self.out_features)

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """Pool (batch, channels, time, bands) to (batch, channels * bands)."""
        tokens = x.transpose(1, 2).flatten(2)  # (batch, time, channels * bands)
        scores = self.sof(tokens)
        if padding is not None:
            scores = scores.masked_fill(padding[:, :, None], -torch.inf)
        return (self.lin(tokens) * scores.softmax(dim=1)).sum(dim=1)


class GramPooling(nn.Module):
    """The pooling of `audeering/wav2small`: softmax weights over time, then the map beside its Gram matrix."""

    def __init__(self, channels: int, bands: int):
        super().__init__()
        self.out_features = channels * (bands + channels)
        self.lin = nn.Conv2d(channels, channels, kernel_size=1)
        self.sof = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """Pool (batch, channels, time, bands) to (batch, channels * (bands + channels))."""
        scores = self.sof(x)
        if padding is not None:
            scores = scores.masked_fill(padding[:, None, :, None], -torch.inf)
        pooled = (self.lin(x) * scores.softmax(dim=2)).sum(dim=2)  # (batch, channels, bands)
        gram = pooled @ pooled.transpose(1, 2)  # (batch, channels, channels)
        return torch.cat([pooled, gram], dim=2).flatten(1)


class Wav2SmallForAudioClassification(AdvPreTrainedModel):
    """Wav2Small (arXiv 2408.13920): 16 kHz speech in, arousal, dominance and valence out.

    The paper gives VGG7, 13 channels, log-mel, tokens and a learnable pooling. That the pooling layers are
    Linear(169, 169), and that one max pool of stride 2 follows the third convolution, is inferred: together they give
    the paper's 72 K values, 0.4 GMAC for 5 s and 250 tokens a second, and the model card of `audeering/wav2small`
    has the same convolutions.

    A clip needs at least `config.n_fft` samples. It gives the same prediction alone and padded in a batch: padded
    frames are set to zero after each convolution, which is what the next one sees beyond the end of a lone clip.
    """

    config_class = Wav2SmallConfig
    pool_after = 3  # convolutions before the max pool
    pooling: TokenPooling | GramPooling

    def __init__(self, config: Wav2SmallConfig):
        super().__init__(config)
        self.log_mel = LogMel(
            config.sampling_rate, config.n_fft, config.hop_length, config.n_mels, config.f_min, config.f_max
        )
        channels = config.channels
        self.convs = nn.ModuleList(ConvBlock(1 if i == 0 else channels, channels) for i in range(7))
        self.max_pool = nn.MaxPool2d(3, stride=2, padding=1)
        pooling = TokenPooling if config.pooling == "token" else GramPooling
        self.pooling = pooling(channels, config.n_mels // 2)
        self.classifier = nn.Linear(self.pooling.out_features, config.num_labels)
        self.post_init()

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
        frames, padding = None, None
        if attention_mask is not None:
            frames = self.log_mel.frames(attention_mask.sum(dim=1))  # (batch,)
            padding = self.padding_after(frames, x.shape[2])  # (batch, frames)
        x = blank(x, padding)
        for i, conv in enumerate(self.convs):
            x = blank(conv(x), padding)
            if i + 1 == self.pool_after:
                x = self.max_pool(x)  # zeros from padding change no maximum: ReLU leaves nothing below 0
                if frames is not None:
                    frames = torch.div(frames + 1, 2, rounding_mode="floor")
                    padding = self.padding_after(frames, x.shape[2])  # (batch, time)
                x = blank(x, padding)
        return self.output(self.head(x, padding), labels, return_dict)

    @in_float32
    def head(self, x: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """Turn (batch, channels, time, bands) into logits (batch, 3); `padding` is (batch, time), true where padded."""
        return self.classifier(self.pooling(x, padding))
