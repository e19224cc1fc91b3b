"""A float ONNX graph -> the same with weights of 8 bits, of 4 bits where real speech allows it, or of 16 bits.

Weights are rounded adaptively, for real speech. Activations stay float: `benchmarks/quantization.py` measures why.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from ..metrics import ccc
from ..progress import tracked
from .onnx_graph import tidy
from .parity import run_onnx
from .rounding import adapt, can_adapt, input_moments
from .weights import Coded, biases, nearest, store, store_half, tables, weights

LEAST_AGREEMENT = 0.995  # CCC with the float predictions for the calibration speech, in each dimension, at 4 bits


def predict_clips(model: onnx.ModelProto, clips: Sequence[np.ndarray]) -> np.ndarray:
    """Predictions (clips, 3) of a graph for waveforms (samples,), one at a time."""
    return np.concatenate(run_onnx(model.SerializeToString(), [clip[None] for clip in clips]))


def eight_bit(model: onnx.ModelProto, clips: Sequence[np.ndarray] = ()) -> onnx.ModelProto:
    """Store each weight in 8 bits.

    Args:
        model: the float graph.
        clips: real speech, waveforms (samples,); some 50. Without it weights are rounded to the nearest code.
    """
    coded = code_in_eight_bits(model, clips)
    return (
        correct_bias(with_codes(model, coded), clips, predict_clips(model, clips))
        if clips
        else with_codes(model, coded)
    )


def four_bit(model: onnx.ModelProto, clips: Sequence[np.ndarray]) -> onnx.ModelProto:
    """Store weights in 4 bits as long as the predictions agree with the float graph's, and the other weights in 8 bits.

    Where all weights in 8 bits make a smaller file, they are all in 8 bits.

    Args:
        model: the float graph.
        clips: real speech, waveforms (samples,); some 50.
    """
    eight = code_in_eight_bits(model, clips)
    expected = predict_clips(model, clips)
    choices = (choose_four_bits(model, clips, eight), eight)
    files = [correct_bias(with_codes(model, coded), clips, expected) for coded in choices]
    return min(files, key=onnx.ModelProto.ByteSize)  # the operators that unpack 4 bits take some 700 bytes


def choose_four_bits(model: onnx.ModelProto, clips: Sequence[np.ndarray], eight: dict[str, Coded]) -> dict[str, Coded]:
    """Code weights in 4 bits as long as the predictions agree with the float graph's.

    Args:
        model: the float graph.
        clips: real speech, waveforms (samples,).
        eight: all weights in 8 bits, see [`code_in_eight_bits`]; the others stay as they are there.
    """
    expected = predict_clips(model, clips)

    def disagreement(coded: dict[str, Coded]) -> float:
        got = predict_clips(with_codes(model, coded), clips)
        return 1 - float(ccc(got + (expected - got).mean(axis=0), expected).min())

    chosen, candidates = eight, adapt_all(model, clips, bits=4)
    each = tracked(list(candidates.items()), "what each weight costs")
    cost = {name: disagreement(chosen | {name: one}) / one.codes.size for name, one in each}
    # the weight that costs least agreement for each byte saved comes first
    for name in tracked(sorted(cost, key=cost.__getitem__), "choosing weights"):
        trial = chosen | {name: candidates[name]}
        if disagreement(trial) <= 1 - LEAST_AGREEMENT:
            chosen = trial
    return chosen


def code_in_eight_bits(model: onnx.ModelProto, clips: Sequence[np.ndarray]) -> dict[str, Coded]:
    """Code all weights, by their names: adaptively where that is possible, else to the nearest code."""
    coded = {weight.name: nearest(weight.array, weight.axis, 8) for weight in weights(model)}
    return coded | adapt_all(model, clips, bits=8) if clips else coded


def correct_bias(model: onnx.ModelProto, clips: Sequence[np.ndarray], expected: np.ndarray) -> onnx.ModelProto:
    """Shift the biases of a linear last layer so that the mean predictions for speech are the expected ones.

    Errors of weights are small but the same in every clip, and a shift of all predictions lowers concordance.
    """
    last = next(node for node in model.graph.node if "logits" in node.output)
    for tensor in model.graph.initializer:
        if last.op_type == "Gemm" and tensor.name == last.input[2]:
            shift = bias_shift(model, clips, expected)
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + shift, tensor.name))
    return model


def bias_shift(model: onnx.ModelProto, clips: Sequence[np.ndarray], expected: np.ndarray) -> np.ndarray:
    """What to add to the last bias of a graph, (3,), so that the mean predictions for speech are the expected ones."""
    shift: np.ndarray = (expected - predict_clips(model, clips)).mean(axis=0)
    return shift


def float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store each weight and table as float16."""
    small = onnx.ModelProto()
    small.CopyFrom(model)
    store_half(small, [*(weight.name for weight in weights(model)), *tables(model)])
    return tidy(small)


def adapt_all(model: onnx.ModelProto, clips: Sequence[np.ndarray], bits: int) -> dict[str, Coded]:
    """Code all weights that can be rounded adaptively, by their names."""
    adaptable = [weight for weight in weights(model) if can_adapt(weight)]
    inputs = input_moments(model, adaptable, clips)
    return {weight.name: adapt(weight, inputs[weight.name], bits) for weight in tracked(adaptable, f"{bits} bits")}


def with_codes(model: onnx.ModelProto, coded: dict[str, Coded]) -> onnx.ModelProto:
    """Copy a graph and store some of its initializers in few bits, and its biases and tables as float16."""
    small = onnx.ModelProto()
    small.CopyFrom(model)
    halved = [*biases(small), *tables(small)]
    store(small, coded)
    store_half(small, halved)
    return tidy(small)
