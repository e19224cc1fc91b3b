"""The weights of a checkpoint in few bits, as in its ONNX files."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from transformers import PreTrainedModel

from ..export import export_onnx
from ..quantize import bias_shift, choose_four_bits, code_in_eight_bits, predict_clips, with_codes
from ..weights import Coded, Weight, nearest, weights
from .text import Layer


class Coder:
    """Finds the codes that the ONNX files of a model have for a matrix.

    Args:
        model: a student.
        clips: real speech, waveforms (samples,), to round the weights for; without it there are no codes of 4 bits.

    Attributes:
        sources: bits of the sources that can be written: 32, 8 and, with speech, 4.
    """

    def __init__(self, model: PreTrainedModel, clips: Sequence[np.ndarray]):
        with tempfile.TemporaryDirectory() as folder:
            export_onnx(model, Path(folder) / "model.onnx")
            graph = onnx.load(Path(folder) / "model.onnx")
        self.weights = weights(graph)
        coded = {8: code_in_eight_bits(graph, clips)}
        if clips:
            coded[4] = choose_four_bits(graph, clips, coded[8])
        self.coded, self.sources = coded, (32, *coded)
        self.shifts = {}
        if clips:
            expected = predict_clips(graph, clips)
            self.shifts = {bits: bias_shift(with_codes(graph, each), clips, expected) for bits, each in coded.items()}

    def layer(self, matrix: np.ndarray, bias: np.ndarray | None, last: bool = False) -> Layer:
        """Code a matrix.

        Args:
            matrix: (outputs, ...), float32, as in the folded model.
            bias: (outputs,), or `None`.
            last: whether it is the last layer, whose bias makes up for what rounding shifts.
        """
        flat = np.ascontiguousarray(matrix.reshape(len(matrix), -1))
        found = next((weight for weight in self.weights if np.array_equal(as_matrix(weight.array, weight), flat)), None)
        codes = {}
        for bits, coded in self.coded.items():
            if found is None:  # a small one, which the ONNX file keeps as it is
                codes[bits] = nearest(flat, 0, 8)
            else:
                each = coded[found.name]
                codes[bits] = Coded(as_matrix(each.codes, found), each.scale.ravel(), each.bits)
        biases = {bits: bias + shift for bits, shift in self.shifts.items()} if last and bias is not None else {}
        return Layer(flat, bias, codes, biases)


def as_matrix(array: np.ndarray, weight: Weight) -> np.ndarray:
    """A weight of a graph, or its codes -> (outputs, inputs)."""
    outputs_first = np.moveaxis(array, weight.axis, 0)
    return np.ascontiguousarray(outputs_first.reshape(len(outputs_first), -1))
