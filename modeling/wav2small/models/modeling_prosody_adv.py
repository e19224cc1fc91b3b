"""A teacher for where no large one may be used: functionals of prosody, and an ensemble of small networks on them."""

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

# transformers 4.57 copies from a local folder only the files that this one names: hence the unused imports
from .audio import read_audio  # noqa: F401
from .configuration_prosody_adv import ProsodyAdvConfig
from .errors import Wav2SmallError  # noqa: F401
from .functionals import SIZE, functionals
from .log_mel import normalize
from .modeling_adv import AdvPreTrainedModel
from .pipeline_adv import AdvPipeline  # noqa: F401

FAR = 4.0  # deviations from the mean beyond which a functional says no more


class Networks(nn.Module):
    """Some networks side by side: two hidden layers with SiLU and dropout, three outputs each."""

    def __init__(self, members: int, inputs: int, hidden: int, dropout: float):
        super().__init__()
        self.dropout = dropout
        sizes = [(inputs, hidden), (hidden, hidden), (hidden, 3)]
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(members, *size)) for size in sizes)
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(members, 1, size[1])) for size in sizes)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Random weights of variance 1 / inputs, biases of 0."""
        for weight, bias in zip(self.weights, self.biases, strict=True):
            weight.normal_(std=weight.shape[1] ** -0.5)
            bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn (members, batch, inputs) into (members, batch, 3)."""
        x = nn.functional.dropout(x, self.dropout / 2, self.training)
        for weight, bias in list(zip(self.weights, self.biases, strict=True))[:-1]:
            x = nn.functional.dropout(nn.functional.silu(x @ weight + bias), self.dropout, self.training)
        return x @ self.weights[-1] + self.biases[-1]


class ProsodyAdvForAudioClassification(AdvPreTrainedModel):
    """Functionals of prosody and voice -> arousal, dominance and valence: the mean of an ensemble.

    Learns from a few hundred labelled clips what a network on spectrograms needs many thousands for. Each clip is
    described on its own, without its padding, so that it gives the same answer alone and in a batch.
    """

    config_class = ProsodyAdvConfig
    mean: torch.Tensor  # (154,) of the functionals in the training
    deviation: torch.Tensor  # (154,)

    def __init__(self, config: ProsodyAdvConfig):
        super().__init__(config)
        self.register_buffer("mean", torch.zeros(SIZE))
        self.register_buffer("deviation", torch.ones(SIZE))
        self.networks = Networks(config.members, SIZE, config.hidden_size, config.dropout)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, Networks):
            module.reset_parameters()

    def describe(self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Functionals of each clip of (batch, samples): (batch, 154)."""
        if attention_mask is None:
            lengths = [input_values.shape[1]] * len(input_values)
        else:
            lengths = attention_mask.sum(dim=1).tolist()
        with torch.autocast(input_values.device.type, enabled=False):  # half precision is too coarse for pitch and dB
            clips = [clip[None, :n].float() for clip, n in zip(input_values, lengths, strict=True)]
            return torch.stack([functionals(normalize(clip)[0]) for clip in clips])

    def standardize(self, described: torch.Tensor) -> torch.Tensor:
        """Bring functionals (…, 154) to the mean and deviation of the training; none counts beyond 4 deviations."""
        return ((described - self.mean) / self.deviation).clamp(-FAR, FAR)

    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[torch.Tensor, ...]:
        """Predict arousal, dominance and valence.

        Args:
            input_values: (batch, samples), PCM at 16 kHz; the level does not matter.
            attention_mask: (batch, samples), 1 for samples, 0 for padding, which must come after the clip.
            labels: (batch, 3), about 0..1; gives the mean squared error as `loss`.
            return_dict: `False` for a tuple.

        Returns:
            `logits` (batch, 3): arousal, dominance, valence, about 0..1, not clipped.

        Raises:
            ValueError: if `input_values` is not (batch, samples), or empty.
        """
        self.check_length(input_values, 1)
        described = self.standardize(self.describe(input_values, attention_mask)).to(self.dtype)  # (batch, 154)
        answers = self.networks(described.expand(self.config.members, -1, -1))  # (members, batch, 3)
        return self.output(answers.mean(dim=0), labels, return_dict)
