"""Configuration of the teacher: which large models it averages, and how each of them hears and predicts."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from transformers import AutoConfig, PretrainedConfig

HEADS = ("mean_pool", "attentive_stats", "pooled_stats")

# config.json of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim, as far as it shapes the encoder
WAV2VEC2_LARGE_ROBUST_12: dict[str, Any] = {
    "model_type": "wav2vec2",
    "hidden_size": 1024,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "feat_extract_activation": "gelu",
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_bias": True,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "hidden_dropout": 0.1,
    "activation_dropout": 0.1,
    "attention_dropout": 0.1,
    "feat_proj_dropout": 0.1,
    "layerdrop": 0.1,
}

# microsoft/wavlm-large; its dropout rates, which matter in training only, are not confirmed
WAVLM_LARGE: dict[str, Any] = {
    **WAV2VEC2_LARGE_ROBUST_12,
    "model_type": "wavlm",
    "num_hidden_layers": 24,
    "conv_bias": False,
    "num_buckets": 320,
    "max_bucket_distance": 800,
}

# the first three blocks of openai/whisper-base
WHISPER_BASE_3: dict[str, Any] = {
    "model_type": "whisper",
    "d_model": 512,
    "encoder_layers": 3,
    "encoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "num_mel_bins": 80,
    "max_source_positions": 1500,
}

ENCODERS: dict[str, dict[str, Any]] = {
    encoder["model_type"]: encoder for encoder in (WAV2VEC2_LARGE_ROBUST_12, WAVLM_LARGE, WHISPER_BASE_3)
}


@dataclass
class Member:
    """One model of the teacher: an encoder, its head, how it wants its input, and where it comes from.

    Args:
        encoder: configuration of the encoder: `model_type` ("wav2vec2", "wavlm" or "whisper") and fields of that
            configuration in transformers, whose defaults fill the rest. Only what shapes the encoder is kept;
            SpecAugment stays off. Of Whisper there are the first `encoder_layers` blocks, without the last layer norm.
        head: `"mean_pool"`: mean over time, dense, tanh, three outputs. `"attentive_stats"`: mean and deviation over
            time under softmax weights, dense, layer norm, ReLU, three outputs. `"pooled_stats"`: mean and logarithm of
            the deviation over time of the `states`, standardised, then the sum of a linear layer and a small network.
        states: of a `"pooled_stats"` head: which blocks of the encoder it hears, from 1 for the first.
        hidden: of a `"pooled_stats"` head: units of its small network; 0 for the linear layer alone.
        mean: taken off the waveform, which is then divided by `std` + 1e-6. `None`: each clip is brought to zero mean
            and unit variance.
        std: goes with `mean`.
        order: which outputs of the head are arousal, dominance and valence.
        scale: with `offset`, brings the outputs to about 0..1: output * scale + offset.
        offset: see `scale`.
        dropout: of the head, in training.
        weight: in the mean of the members; any positive number.
        source: folder or id on the Hub where the weights come from.
        revision: commit, tag or branch on the Hub.
        licence: SPDX name of the licence of the weights; `None`: unknown.

    Raises:
        ValueError: if a value cannot be; the message names the field.
    """

    encoder: dict[str, Any]
    head: str
    states: list[int] = field(default_factory=list)
    hidden: int = 0
    mean: float | None = None
    std: float | None = None
    order: list[int] = field(default_factory=lambda: [0, 1, 2])
    scale: float = 1.0
    offset: float = 0.0
    dropout: float = 0.0
    weight: float = 1.0
    source: str | None = None
    revision: str | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        self.encoder = complete(self.encoder)
        if self.head not in HEADS:
            raise ValueError(f"head={self.head!r}: it must be one of {', '.join(HEADS)}")
        self.states = list(self.states)
        blocks = self.encoder["encoder_layers" if "encoder_layers" in self.encoder else "num_hidden_layers"]
        if (self.head == "pooled_stats") != bool(self.states):
            raise ValueError(f"states={self.states}: a pooled_stats head needs them, and no other head has them")
        if wrong := [state for state in self.states if not 1 <= state <= blocks]:
            raise ValueError(f"states={self.states}: the encoder has the blocks 1 to {blocks}, and no {wrong[0]}")
        if self.encoder["model_type"] == "whisper" and self.head != "pooled_stats":
            raise ValueError(f"head={self.head!r}: a Whisper encoder goes with the head 'pooled_stats'")
        if (self.mean is None) != (self.std is None):
            raise ValueError(f"mean={self.mean}, std={self.std}: give both, or neither")
        for name in ("mean", "std", "scale", "offset", "dropout", "weight"):
            value = getattr(self, name)
            if name in ("mean", "std") and value is None:
                continue
            if not (isinstance(value, (int, float)) and math.isfinite(value)):
                raise ValueError(f"{name}={value!r}: it must be a finite number")
            if name in ("std", "weight") and value <= 0:
                raise ValueError(f"{name}={value}: it must be above 0")
        if self.scale == 0:
            raise ValueError("scale=0: all predictions would be the same")
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"dropout={self.dropout}: it must be from 0 to 1")
        self.order = list(self.order)
        if sorted(self.order) != [0, 1, 2]:
            raise ValueError(f"order={self.order}: it must hold 0, 1 and 2, once each")


def complete(encoder: dict[str, Any]) -> dict[str, Any]:
    """Fill the configuration of an encoder with the defaults of transformers; keep what shapes the encoder."""
    if not isinstance(encoder, dict):
        raise ValueError(f"encoder={encoder!r}: it must be a dict, with model_type and fields of that configuration")
    model_type = encoder.get("model_type")
    if model_type not in ENCODERS:
        raise ValueError(f"encoder: model_type={model_type!r}: it must be one of {', '.join(ENCODERS)}")
    given = {name: value for name, value in encoder.items() if value is not None}
    try:
        config = AutoConfig.for_model(**given)
    except Exception as error:  # transformers 5 has its own error types for a field of the wrong type
        raise ValueError(f"encoder: {' '.join(str(error).split())}") from error
    if unknown := sorted(given.keys() - type(config)().to_dict().keys()):
        raise ValueError(f"encoder: {unknown[0]} is no field of {type(config).__name__}")
    if getattr(config, "feat_extract_norm", "layer") != "layer":
        # a group norm runs over time: a clip would sound different beside a longer one
        raise ValueError(f"encoder: feat_extract_norm={config.feat_extract_norm!r}: it must be 'layer'")
    if getattr(config, "add_adapter", False):
        raise ValueError("encoder: add_adapter=True: a teacher has no adapter")
    values = {name: getattr(config, name) for name in ENCODERS[model_type]}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


PAPER = (  # the teacher of arXiv 2408.13920; mean and std are those of the second member's config.json
    Member(
        encoder=WAV2VEC2_LARGE_ROBUST_12,
        head="mean_pool",
        dropout=0.1,
        source="audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
        licence="CC-BY-NC-SA-4.0",
    ),
    Member(
        encoder=WAVLM_LARGE,
        head="attentive_stats",
        mean=-8.278621631819787e-05,
        std=0.08485510250851999,
        dropout=0.5,
        source="3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes",
        licence="MIT",
    ),
)


class AdvTeacherConfig(PretrainedConfig):
    """Configuration of [`AdvTeacherForAudioClassification`]; the default is the paper's teacher (484 M parameters).

    Args:
        members: the models to average, each as the fields of [`Member`]; their weights are brought to a sum of 1.
        sampling_rate: of the input, in Hz.

    Raises:
        ValueError: if there are no members, or one is not valid; the message names the member and the field.
    """

    model_type = "adv_teacher"

    def __init__(self, members: list[dict[str, Any]] | None = None, sampling_rate: int = 16000, **kwargs: Any):
        checked = []
        for i, member in enumerate([asdict(member) for member in PAPER] if members is None else members):
            try:
                checked.append(Member(**member))
            except (TypeError, ValueError) as error:
                raise ValueError(f"members[{i}]: {error}") from error
        if not checked:
            raise ValueError("members is empty: a teacher needs at least one")
        total = sum(member.weight for member in checked)
        self.members = [{**asdict(member), "weight": member.weight / total} for member in checked]
        self.sampling_rate = sampling_rate
        kwargs.setdefault("id2label", {0: "arousal", 1: "dominance", 2: "valence"})
        kwargs.setdefault("label2id", {"arousal": 0, "dominance": 1, "valence": 2})
        kwargs.setdefault("problem_type", "regression")
        super().__init__(**kwargs)
