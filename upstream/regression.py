"""A regression whose outputs are 0.2, 0.9 and 0.5, and what the pipeline of transformers makes of it.

python regression.py FOLDER   also writes it there, with its ONNX file, for softmax.mjs
"""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification, pipeline

config = Wav2Vec2Config(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    conv_dim=[16] * 7,
    vocab_size=3,
    num_labels=3,
    id2label={0: "arousal", 1: "dominance", 2: "valence"},
    problem_type="regression",
)
model = Wav2Vec2ForSequenceClassification(config).eval()
with torch.no_grad():
    model.classifier.weight.zero_()
    model.classifier.bias.copy_(torch.tensor([0.2, 0.9, 0.5]))
extractor = Wav2Vec2FeatureExtractor()
pipe = pipeline("audio-classification", model=model, feature_extractor=extractor)
print(pipe(np.zeros(16000, np.float32)))  # noqa: T201

if len(sys.argv) > 1:
    folder = Path(sys.argv[1])
    (folder / "onnx").mkdir(parents=True)
    config.save_pretrained(folder)
    extractor.save_pretrained(folder)
    torch.onnx.export(
        model,
        (torch.zeros(1, 16000),),
        folder / "onnx" / "model.onnx",
        dynamo=False,
        input_names=["input_values"],
        output_names=["logits"],
        dynamic_axes={"input_values": {0: "batch", 1: "samples"}},
    )
