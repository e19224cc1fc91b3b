"""The teacher: large speech models, each with its own head, and the weighted mean of their predictions."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, WhisperConfig
from transformers.modeling_outputs import SequenceClassifierOutput

# `read`, `AdvPipeline`: transformers 4.57 copies from a local folder only the files named in this one.
from .audio import read_audio  # noqa: F401
from .configuration_adv_teacher import AdvTeacherConfig, Member
from .errors import Wav2SmallError
from .log_mel import normalize
from .modeling_adv import AdvPreTrainedModel
from .pipeline_adv import AdvPipeline  # noqa: F401
from .teacher_heads import AttentiveStatsHead, make_head
from .whisper_encoder import LEAST_SAMPLES, WhisperBlocks

STD_FLOOR = 1e-6  # added to the fixed deviation of the input (MSP-Podcast_Challenge, WavSet)


@dataclass
class AdvTeacherOutput(SequenceClassifierOutput):
    """What the teacher predicts.

    Attributes:
        loss: mean squared error to the labels, where there are any.
        logits: (batch, 3): arousal, dominance, valence, about 0..1, not clipped; the weighted mean of the members.
        member_logits: (batch, members, 3): the same of each member.
    """

    member_logits: torch.Tensor | None = None


class TeacherMember(nn.Module):
    """One model of the teacher: normalise, encode, pool, predict in the order and on the scale of the teacher."""

    def __init__(self, member: Member):
        super().__init__()
        self.member = member
        # no SpecAugment: it fails on short clips, and its mask would be a parameter without use
        config = AutoConfig.for_model(
            **member.encoder, apply_spec_augment=False, mask_time_prob=0.0, mask_feature_prob=0.0
        )
        self.whisper = isinstance(config, WhisperConfig)
        self.encoder = WhisperBlocks(config) if self.whisper else AutoModel.from_config(config)
        self.head = make_head(member, config.hidden_size)
        self.strides = [] if self.whisper else list(zip(config.conv_kernel, config.conv_stride, strict=True))

    @property
    def least_samples(self) -> int:
        """Samples under the first frame; Whisper fills a clip up to its least length itself."""
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

    def encode(
        self, waveform: torch.Tensor, attention_mask: torch.Tensor | None
    ) -> tuple[list[torch.Tensor], torch.Tensor | None]:
        """Give the states that the head hears, (batch, frames, hidden) each, and the padding, (batch, frames).

        Args:
            waveform: (batch, samples).
            attention_mask: (batch, samples), or `None` where there is no padding.
        """
        if self.whisper:
            if attention_mask is not None:
                waveform = waveform * attention_mask
            if waveform.shape[1] > self.encoder.most_samples:
                raise ValueError(f"input_values has {waveform.shape[1]} samples: Whisper hears 30 s at most")
            waveform = waveform.float()
            length = waveform.shape[1]
            above = (length // LEAST_SAMPLES + 1) * LEAST_SAMPLES
            short = LEAST_SAMPLES // above  # 1 or 0, by arithmetic: exporters follow no branch
            filled = length + short * (LEAST_SAMPLES - length)
            waveform = nn.functional.pad(waveform, (0, LEAST_SAMPLES))[:, :filled]
            samples = None if attention_mask is None else attention_mask.sum(dim=1).clamp(min=LEAST_SAMPLES)
            states, padding = self.encoder(waveform, samples)
            return [states[i - 1] for i in self.member.states], padding
        x = self.normalize(waveform.float(), attention_mask)
        padding = None
        if attention_mask is not None:
            attention_mask = attention_mask.clone()
            attention_mask[:, : self.least_samples] = 1  # a shorter clip has one frame, of its samples and zeros
        x = x.to(next(self.encoder.parameters()).dtype)
        encoded = self.encoder(x, attention_mask=attention_mask, output_hidden_states=bool(self.member.states))
        states = [encoded.hidden_states[i] for i in self.member.states] or [encoded.last_hidden_state]
        if attention_mask is not None:
            padding = AdvPreTrainedModel.padding_after(
                self.frames(attention_mask.sum(dim=1)), states[0].shape[1]
            )  # (batch, frames)
        return states, padding

    def forward(self, waveform: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """Turn (batch, samples) into (batch, 3), float32."""
        states, padding = self.encode(waveform, attention_mask)
        with torch.autocast(waveform.device.type, enabled=False):  # a head is small, and its sums are long
            dtype = next(self.head.parameters()).dtype  # float32 as loaded, whatever the encoder is
            prediction = self.head([state.to(dtype) for state in states], padding).float()
        return prediction[:, self.member.order] * self.member.scale + self.member.offset


class AdvTeacherForAudioClassification(AdvPreTrainedModel):
    """One or more large models and the weighted mean of their predictions; by default the teacher of arXiv 2408.13920.

    That is the mean of `audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim` and
    `3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes`, not fine-tuned further and not clipped.

    A clip gives the same prediction alone and padded in a batch, and alone it is that of the published code. In a batch
    the code published for WavLM pools over floor((samples - 1) / 320) + 1 frames, one or two more than the encoder
    makes of the clip, and these hear padding. Here a clip has only its own frames, as it has alone.

    A clip needs as many samples as the first frame of an encoder: 400, or 25 ms. A shorter one is refused alone, and
    filled with zeros to that length in a batch.
    """

    config_class = AdvTeacherConfig
    _keep_in_fp32_modules_strict = ("head",)

    def __init__(self, config: AdvTeacherConfig):
        super().__init__(config)
        members = [TeacherMember(Member(**member)) for member in config.members]
        self.members = nn.ModuleList(members)
        self.weights = [member.member.weight for member in members]
        self.least_samples = max(member.least_samples for member in members)
        self.post_init()

    @classmethod
    def from_pretrained(cls, *args: Any, output_loading_info: bool = False, **kwargs: Any) -> Any:
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
    ) -> AdvTeacherOutput | tuple[torch.Tensor, ...]:
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
        predictions = [member(input_values, attention_mask) for member in self.members]
        member_logits = torch.stack(predictions, dim=1)  # (batch, members, 3)
        weights = member_logits.new_tensor(self.weights)
        logits = (weights[:, None] * member_logits).sum(dim=1)  # (batch, 3)
        output = self.output(logits, labels, return_dict)
        if isinstance(output, tuple):
            return (*output, member_logits)
        return AdvTeacherOutput(**output, member_logits=member_logits)
