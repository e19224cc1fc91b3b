"""The pipeline sorts the outputs of a regression by their value: the order of the labels is that of the numbers."""

import numpy as np
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification, pipeline

config = Wav2Vec2Config(
    hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=[16] * 7, vocab_size=1,
    num_labels=3, id2label={0: "arousal", 1: "dominance", 2: "valence"}, problem_type="regression",
)  # fmt: skip
model = Wav2Vec2ForSequenceClassification(config).eval()
with torch.no_grad():
    model.classifier.weight.zero_()
    model.classifier.bias.copy_(torch.tensor([0.2, 0.9, 0.5]))
pipe = pipeline("audio-classification", model=model, feature_extractor=Wav2Vec2FeatureExtractor())
print(pipe(np.zeros(16000, np.float32)))  # noqa: T201
