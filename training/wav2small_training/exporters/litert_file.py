"""The files of LiteRT (TensorFlow Lite), by its converter and quantizer."""

from pathlib import Path

import litert_torch
import torch
from ai_edge_quantizer import quantizer, recipe

from .exportable import Exportable


def write_files(network: Exportable, sample: torch.Tensor, folder: Path) -> list[Path]:
    """Write `model.tflite` and `model_quantized.tflite`, which take inputs of the shape of the sample."""
    path, small = folder / "model.tflite", folder / "model_quantized.tflite"
    litert_torch.convert(network.network, (sample,)).export(str(path))
    # weights alone: the matrix product of two activations is not there for 8 bits
    eight_bits = quantizer.Quantizer(str(path))
    eight_bits.load_quantization_recipe(recipe.weight_only_wi8_afp32())
    eight_bits.quantize().export_model(str(small))
    return [path, small]
