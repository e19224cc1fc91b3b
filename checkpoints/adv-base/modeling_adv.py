"""What the teacher and all students share: saving a folder that is complete, the loss, the padding mask."""

from os import PathLike
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, Wav2Vec2FeatureExtractor
from transformers.modeling_outputs import SequenceClassifierOutput

from .log_mel import LogMel
from .pipeline_adv import AdvPipeline


class AdvPreTrainedModel(PreTrainedModel):
    """A model that predicts arousal, dominance and valence from a waveform."""

    main_input_name = "input_values"

    def save_pretrained(self, save_directory: str | PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Save weights, config, code, feature extractor and pipeline: a folder that loads on its own."""
        self.config.custom_pipelines = {
            "audio-classification": {
                "impl": f"{AdvPipeline.__module__.rpartition('.')[2]}.{AdvPipeline.__name__}",
                "pt": ["AutoModelForAudioClassification"],
                "type": "audio",
            }
        }
        # The models normalise: the feature extractor only pads and makes the mask.
        Wav2Vec2FeatureExtractor(
            sampling_rate=self.config.sampling_rate, do_normalize=False, return_attention_mask=True
        ).save_pretrained(save_directory)
        super().save_pretrained(save_directory, *args, **kwargs)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, LogMel):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    @staticmethod
    def check_length(input_values: torch.Tensor, least: int) -> None:
        """Raise ValueError for a batch that is not (batch, samples) or has fewer samples than the front end needs."""
        if input_values.dim() != 2:
            raise ValueError(f"input_values has shape {tuple(input_values.shape)}: it must be (batch, samples)")
        if input_values.shape[1] < least:
            raise ValueError(f"input_values has {input_values.shape[1]} samples: the model needs at least {least}")

    @staticmethod
    def padding_after(valid: torch.Tensor, length: int) -> torch.Tensor:
        """Numbers of valid steps (batch,) -> a mask (batch, length) that is true for padding."""
        return torch.arange(length, device=valid.device)[None, :] >= valid[:, None]

    def output(
        self, logits: torch.Tensor, labels: torch.Tensor | None, return_dict: bool | None
    ) -> SequenceClassifierOutput | tuple[torch.Tensor, ...]:
        """Wrap the logits (batch, 3), with the mean squared error to the labels (batch, 3) where there are any."""
        loss = None if labels is None else nn.functional.mse_loss(logits, labels.to(logits))
        if return_dict is False:
            return (logits,) if loss is None else (loss, logits)
        return SequenceClassifierOutput(loss=loss, logits=logits)
