"""The teacher: large speech models, each with its own head, and the weighted mean of their answers."""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoConfig, AutoModel
from transformers.modeling_outputs import SequenceClassifierOutput

# `read`, `AdvPipeline`: transformers 4.57 copies from a local folder only the files named in this one.
from .audio import read_audio  # noqa: F401
from .configuration_adv_teacher import AdvTeacherConfig, Member
from .errors import Wav2SmallError
from .log_mel import normalize
from .modeling_adv import AdvPreTrainedModel
from .pipeline_adv import AdvPipeline  # noqa: F401

STD_FLOOR = 1e-6  # added to the fixed deviation of the input (MSP-Podcast_Challenge, WavSet)
VARIANCE_FLOOR = 1e-5  # of the deviation over time (MSP-Podcast_Challenge, AttentiveStatisticsPooling)


@dataclass
class AdvTeacherOutput(SequenceClassifierOutput):
    """What the teacher answers.

    Attributes:
        loss: mean squared error to the labels, where there are any.
        logits: (batch, 3): arousal, dominance, valence, about 0..1, not clipped; the weighted mean of the members.
        member_logits: (batch, members, 3): the same of each member.
    """

    member_logits: torch.Tensor | None = None


class MeanPoolHead(nn.Module):
    """The head of `audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim`, as its model card gives it."""

    def __init__(self, hidden_size: int, dropout: float):
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.out_proj = nn.Linear(hidden_size, 3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """Turn (batch, frames, hidden) into (batch, 3); `padding` is (batch, frames), true where padded."""
        if padding is None:
            pooled = x.float().mean(dim=1)
        else:
            total = x.float().masked_fill(padding[:, :, None], 0).sum(dim=1)
            pooled = total / (~padding).sum(dim=1, keepdim=True)  # (batch, hidden)
        x = self.dropout(pooled.to(x.dtype))
        x = torch.tanh(self.dense(x))
        return self.out_proj(self.dropout(x))


class AttentiveStatsHead(nn.Module):
    """The head of `3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes`, as in net/ of MSP-Podcast_Challenge.

    Softmax weights over time for whole frames (arXiv 1803.10963), then the weighted mean beside the weighted deviation.
    """

    def __init__(self, hidden_size: int, dropout: float):
        super().__init__()
        self.sap_linear = nn.Linear(hidden_size, hidden_size)
        self.attention = nn.Parameter(torch.empty(hidden_size, 1))
        self.dense = nn.Linear(2 * hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.out_proj = nn.Linear(hidden_size, 3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """Turn (batch, frames, hidden) into (batch, 3); `padding` is (batch, frames), true where padded."""
        scores = torch.tanh(self.sap_linear(x)) @ self.attention  # (batch, frames, 1)
        if padding is not None:
            scores = scores.masked_fill(padding[:, :, None], -torch.inf)
        weights = scores.float().softmax(dim=1)
        frames = x.float()  # half precision is too coarse for a difference of squares
        mean = (frames * weights).sum(dim=1)  # (batch, hidden)
        variance = (frames.square() * weights).sum(dim=1) - mean.square()
        pooled = torch.cat([mean, variance.clamp(min=VARIANCE_FLOOR).sqrt()], dim=1)  # (batch, 2 * hidden)
        x = self.dropout(pooled.to(x.dtype))
        x = torch.relu(self.norm(self.dense(x)))
        return self.out_proj(self.dropout(x))


HEADS = {"mean_pool": MeanPoolHead, "attentive_stats": AttentiveStatsHead}


class TeacherMember(nn.Module):
    """One model of the teacher: normalise, encode, pool, answer in the order and on the scale of the teacher."""

    def __init__(self, member: Member):
        super().__init__()
        self.member = member
        # no SpecAugment: it fails on short clips, and its mask would be a parameter without use
        config = AutoConfig.for_model(
            **member.encoder, apply_spec_augment=False, mask_time_prob=0.0, mask_feature_prob=0.0
        )
        self.encoder = AutoModel.from_config(config)
        self.head = HEADS[member.head](config.hidden_size, member.dropout)
        self.strides = list(zip(config.conv_kernel, config.conv_stride, strict=True))

    @property
    def least_samples(self) -> int:
        """Samples under the first frame."""
        samples = 1
        for kernel, stride in reversed(self.strides):
            samples = (samples - 1) * stride + kernel
        return samples

    def frames(self, samples: torch.Tensor) -> torch.Tensor:
        """Frames that the encoder makes of so many samples."""
        for kernel, stride in self.strides:
            samples = torch.div(samples - kernel, stride, rounding_mode="floor") + 1
        return samples

    def normalize(self, waveform: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """Bring (batch, samples) to the level that the encoder knows; padding becomes 0."""
        if self.member.mean is None or self.member.std is None:
            return normalize(waveform, attention_mask)
        x = (waveform - self.member.mean) / (self.member.std + STD_FLOOR)
        return x if attention_mask is None else x * attention_mask

    def forward(self, waveform: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """Turn (batch, samples) into (batch, 3), float32."""
        x = self.normalize(waveform.float(), attention_mask)
        padding = None
        if attention_mask is not None:
            attention_mask = attention_mask.clone()
            attention_mask[:, : self.least_samples] = 1  # a shorter clip has one frame, of its samples and zeros
            samples = attention_mask.sum(dim=1)
        x = self.encoder(x.to(self.encoder.dtype), attention_mask=attention_mask).last_hidden_state
        if attention_mask is not None:
            padding = AdvPreTrainedModel.padding_after(self.frames(samples), x.shape[1])  # (batch, frames)
        answer = self.head(x, padding).float()
        return answer[:, self.member.order] * self.member.scale + self.member.offset


class AdvTeacherForAudioClassification(AdvPreTrainedModel):
    """One or more large models and the weighted mean of their answers; by default the teacher of arXiv 2408.13920.

    That is the mean of `audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim` and
    `3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes`, not fine-tuned further and not clipped.

    A clip gives the same answer alone and padded in a batch, and alone it is that of the published code. In a batch the
    code published for WavLM pools over floor((samples - 1) / 320) + 1 frames, one or two more than the encoder makes of
    the clip, and these hear padding. Here a clip has only its own frames, as it has alone.

    A clip needs as many samples as the first frame of an encoder: 400, or 25 ms. A shorter one is refused alone, and
    filled with zeros to that length in a batch.
    """

    config_class = AdvTeacherConfig

    def __init__(self, config: AdvTeacherConfig):
        super().__init__(config)
        members = [TeacherMember(Member(**member)) for member in config.members]
        self.members = nn.ModuleList(members)
        self.weights = [member.member.weight for member in members]
        self.least_samples = max(member.least_samples for member in members)
        self.post_init()

    @classmethod
    def from_pretrained(cls, *args, output_loading_info: bool = False, **kwargs):
        """Load a teacher as [`~transformers.PreTrainedModel.from_pretrained`] does, but whole or not at all.

        Raises:
            Wav2SmallError: if a weight is missing, unknown or of another shape; it is named. A teacher with a random
                head would train students on noise.
        """
        kwargs["ignore_mismatched_sizes"] = True  # they are reported below, with the rest
        model, info = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        for kind in ("missing", "unexpected", "mismatched"):
            # transformers 5 gives the shapes beside a mismatched key
            if keys := sorted(key if isinstance(key, str) else key[0] for key in info[f"{kind}_keys"]):
                raise Wav2SmallError(f"the weights do not fit the teacher: {kind} key {keys[0]} ({len(keys)} in all)")
        return (model, info) if output_loading_info else model

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, AttentiveStatsHead):
            nn.init.normal_(module.attention)
        else:
            super()._init_weights(module)

    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
    ) -> AdvTeacherOutput | tuple:
        """Predict arousal, dominance and valence.

        Args:
            input_values: (batch, samples), PCM in -1..1 at `config.sampling_rate`: the level matters to a member with
                a fixed `mean` and `std`.
            attention_mask: (batch, samples), 1 for samples, 0 for padding, which must come after the clip.
            labels: (batch, 3), about 0..1; gives the mean squared error as `loss`.
            return_dict: `False` for a tuple: the loss where there are labels, logits, logits of the members.

        Returns:
            `logits` (batch, 3): arousal, dominance, valence, about 0..1, not clipped, float32.
            `member_logits` (batch, members, 3).

        Raises:
            ValueError: if `input_values` holds fewer samples than the first frame of an encoder.
        """
        self.check_length(input_values, self.least_samples)
        if attention_mask is not None:
            attention_mask = attention_mask.long()
        answers = [member(input_values, attention_mask) for member in self.members]
        member_logits = torch.stack(answers, dim=1)  # (batch, members, 3)
        weights = member_logits.new_tensor(self.weights)
        logits = (weights[:, None] * member_logits).sum(dim=1)  # (batch, 3)
        output = self.output(logits, labels, return_dict)
        if isinstance(output, tuple):
            return (*output, member_logits)
        return AdvTeacherOutput(**output, member_logits=member_logits)
