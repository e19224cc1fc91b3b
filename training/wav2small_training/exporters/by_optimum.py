"""The raw graph of a network by optimum's exporter, which traces it; `optimum-onnx` holds transformers below 4.58."""

import tempfile
from pathlib import Path

import onnx
from optimum.exporters.onnx import OnnxConfig
from optimum.exporters.onnx import export as optimum_export
from optimum.utils import DummyAudioInputGenerator, NormalizedConfig

from .exportable import BATCH, INPUT, SAMPLES, Exportable
from .onnx_graph import OPSET

TASK = "audio-classification"


class AdvOnnxConfig(OnnxConfig):
    """What optimum asks of a kind of models."""

    DEFAULT_ONNX_OPSET = OPSET
    NORMALIZED_CONFIG_CLASS = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (DummyAudioInputGenerator,)
    output_names: tuple[str, ...] = ("logits",)

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """`input_values`: float32 [batch, samples], PCM in -1..1."""
        return {INPUT: {0: BATCH, 1: SAMPLES}}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        """`logits`: float32 [batch, 3]: arousal, dominance, valence; where the model has it, `speech`: [batch, 1]."""
        return {name: {0: BATCH} for name in self.output_names}


def raw_graph(model: Exportable) -> onnx.ModelProto:
    """Write a network as ONNX."""
    config = AdvOnnxConfig(model.config, TASK)
    config.output_names = model.outputs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        optimum_export(model, config, path)
        return onnx.load(path)
