"""Tiny models for tests: teachers in the layouts of the published ones, with their irregularities.

```python
dawn = write_dawn_checkpoint(folder / "dawn")
odyssey = write_odyssey_checkpoint(folder / "odyssey")
teacher = teacher_from([dawn, odyssey])
```
"""

import json
from pathlib import Path
from typing import Any

# a small encoder; kernels and strides are those of the large ones: frames of 400 samples, 320 samples apart
TINY_ENCODER: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
}


def write_dawn_checkpoint(folder: str | Path, seed: int = 0, **layout: Any) -> str:
    """Write a teacher in the layout of `audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim`, with random weights.

    As published, config.json has `vocab_size: null`, an architecture that transformers does not know, and outputs named
    arousal, dominance and valence; there is no tokenizer.

    Args:
        folder: to write; made if it does not exist.
        seed: of the weights.
        layout: as in [`write_checkpoint`].

    Returns:
        The folder, as text.
    """
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(seed)
    encoder = Wav2Vec2Model(Wav2Vec2Config(**TINY_ENCODER, conv_bias=True))
    hidden = TINY_ENCODER["hidden_size"]
    weights = {f"wav2vec2.{name}": random_weight(name, value) for name, value in encoder.state_dict().items()}
    weights |= random_linear("classifier.dense", hidden, hidden) | random_linear("classifier.out_proj", hidden, 3)
    config = {
        "architectures": ["Wav2Vec2ForSpeechClassification"],
        "conv_bias": True,
        "final_dropout": 0.1,
        "finetuning_task": "wav2vec2_reg",
        "hidden_dropout_prob": 0.1,
        "id2label": {"0": "arousal", "1": "dominance", "2": "valence"},
        "label2id": {"arousal": 0, "dominance": 1, "valence": 2},
        "model_type": "wav2vec2",
        "pooling_mode": "mean",
        "problem_type": "regression",
        "transformers_version": "4.17.0.dev0",
        "vocab_size": None,
        **TINY_ENCODER,
    }
    preprocessor = {"do_normalize": True, "feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000}
    return write_checkpoint(Path(folder), config, weights, preprocessor, **layout)


def write_odyssey_checkpoint(folder: str | Path, seed: int = 1, **layout: Any) -> str:
    """Write a teacher in the layout of `3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes`, with random weights.

    As published, config.json has `model_type` "ser" and names the encoder by its id, and preprocessor_config.json is a
    stub. Sizes that differ from WavLM-large's are in config.json, where the published one has some of them too.

    Args:
        folder: to write; made if it does not exist.
        seed: of the weights.
        layout: as in [`write_checkpoint`].

    Returns:
        The folder, as text.
    """
    import torch
    from transformers import WavLMConfig, WavLMModel

    torch.manual_seed(seed)
    encoder = WavLMModel(WavLMConfig(**TINY_ENCODER, conv_bias=False))
    hidden = TINY_ENCODER["hidden_size"]
    weights = {f"ssl_model.{name}": random_weight(name, value) for name, value in encoder.state_dict().items()}
    weights |= random_linear("pool_model.sap_linear", hidden, hidden) | {"pool_model.attention": torch.randn(hidden, 1)}
    weights |= random_linear("ser_model.fc.0.0", 2 * hidden, hidden) | random_linear("ser_model.out.0", hidden, 3)
    weights |= {
        key: random_weight(key, torch.empty(hidden)) for key in ("ser_model.fc.0.1.weight", "ser_model.fc.0.1.bias")
    }
    config = {
        "architectures": ["SERModel"],
        "classifier_dropout_prob": 0.5,
        "classifier_hidden_layers": 1,
        "id2label": {"0": "arousal", "1": "dominance", "2": "valence"},
        "label2id": {"arousal": 0, "dominance": 1, "valence": 2},
        "maxlen": 192000,
        "mean": -8.278621631819787e-05,
        "model_type": "ser",
        "num_classes": 3,
        "sampling_rate": 16000,
        "ssl_type": "microsoft/wavlm-large",
        "std": 0.08485510250851999,
        **TINY_ENCODER,
    }
    return write_checkpoint(Path(folder), config, weights, {"mean": 10}, **layout)


def write_checkpoint(
    folder: Path,
    config: dict[str, Any],
    weights: dict[str, Any],
    preprocessor: dict[str, Any],
    old_weight_norm: bool = True,
    masked_spec_embed: bool = True,
    file: str = "pytorch_model.bin",
    change: dict[str, Any] | None = None,
    change_weights: dict[str, Any] | None = None,
) -> str:
    """Write config.json, preprocessor_config.json and a file of weights.

    Args:
        folder: to write; made if it does not exist.
        config: of config.json.
        weights: under their published names.
        preprocessor: of preprocessor_config.json.
        old_weight_norm: name the halves of the weight norm as torch before 2.1 does.
        masked_spec_embed: with the mask of SpecAugment, which checkpoints may hold or lack.
        file: "pytorch_model.bin" or "model.safetensors".
        change: fields of config.json to set; `None` as a value leaves a field out.
        change_weights: weights to set; `None` as a value leaves one out.

    Returns:
        The folder, as text.
    """
    import torch
    from safetensors.torch import save_file

    if old_weight_norm:
        for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
            weights = {name.replace(f"parametrizations.weight.{new}", old): value for name, value in weights.items()}
    if not masked_spec_embed:
        weights = {name: value for name, value in weights.items() if not name.endswith("masked_spec_embed")}
    weights = {name: value for name, value in (weights | (change_weights or {})).items() if value is not None}
    config = config | (change or {})
    for name in [name for name, value in (change or {}).items() if value is None]:
        del config[name]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    if file == "model.safetensors":
        save_file({name: value.contiguous() for name, value in weights.items()}, folder / file)
    else:
        torch.save(weights, folder / file)
    return str(folder)


def random_linear(name: str, inputs: int, outputs: int) -> dict[str, Any]:
    """Random weights of a linear layer."""
    import torch

    shapes = {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
    return {key: random_weight(key, torch.empty(shape)) for key, shape in shapes.items()}


def random_weight(name: str, value: Any) -> Any:
    """A random weight of the same shape, large enough that every layer changes the prediction."""
    import torch

    if value.dim() > 1:
        return torch.randn_like(value) / value[0].numel() ** 0.5
    return torch.randn_like(value) / 4 + (1 if name.endswith("weight") else 0)
