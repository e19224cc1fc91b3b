"""A float ONNX graph -> the same with weights of 8 bits, or of 4 where real speech allows it, or of 16.

Weights are rounded adaptively, for real speech. What flows through the network stays float: `compare.py` measures why.
"""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from ..metrics import ccc
from .onnx_graph import tidy
from .rounding import adapt, can_adapt, moments
from .weights import Coded, nearest, store, store_half, weights

LEAST_AGREEMENT = 0.995  # CCC with the float answers to the calibration speech, in each dimension, at 4 bits


def answers(model: onnx.ModelProto, clips: Sequence[np.ndarray]) -> np.ndarray:
    """What a graph answers to waveforms (samples,), one at a time: (clips, 3)."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["logits"], {"input_values": clip[None]})[0] for clip in clips])


def eight_bit(model: onnx.ModelProto, clips: Sequence[np.ndarray] = ()) -> onnx.ModelProto:
    """Store each weight in 8 bits.

    Args:
        model: the float graph.
        clips: real speech, waveforms (samples,); some 50. Without it weights are rounded to the nearest code.
    """
    coded = in_eight_bits(model, clips)
    return settled(stored(model, coded), clips, answers(model, clips)) if clips else stored(model, coded)


def four_bit(model: onnx.ModelProto, clips: Sequence[np.ndarray]) -> onnx.ModelProto:
    """Store weights in 4 bits, as many as agree with the float answers, and the rest in 8: all, if that is smaller.

    Args:
        model: the float graph.
        clips: real speech, waveforms (samples,); some 50.
    """
    expected = answers(model, clips)

    def disagreement(coded: dict[str, Coded]) -> float:
        got = answers(stored(model, coded), clips)
        return 1 - float(ccc(got + (expected - got).mean(axis=0), expected).min())

    eight, candidates = in_eight_bits(model, clips), adapted(model, clips, bits=4)
    chosen = eight
    cost = {name: disagreement(chosen | {name: one}) / one.codes.size for name, one in candidates.items()}
    for name in sorted(cost, key=cost.__getitem__):  # where a byte saved costs least comes first
        trial = chosen | {name: candidates[name]}
        if disagreement(trial) <= 1 - LEAST_AGREEMENT:
            chosen = trial
    files = [settled(stored(model, coded), clips, expected) for coded in (chosen, eight)]
    return min(files, key=onnx.ModelProto.ByteSize)  # unpacking takes some 700 bytes, too


def in_eight_bits(model: onnx.ModelProto, clips: Sequence[np.ndarray]) -> dict[str, Coded]:
    """All weights by their names: to the nearest code, or rounded adaptively where there is speech and that can be."""
    coded = {weight.name: nearest(weight.array, weight.axis, 8) for weight in weights(model)}
    return coded | adapted(model, clips, bits=8) if clips else coded


def settled(model: onnx.ModelProto, clips: Sequence[np.ndarray], expected: np.ndarray) -> onnx.ModelProto:
    """Move the biases of the last layer, if that is a linear one: the mean answers to speech become the expected.

    Errors of weights are small but the same in every clip, and a concordance feels a shift of all answers.
    """
    last = next(node for node in model.graph.node if "logits" in node.output)
    for tensor in model.graph.initializer:
        if last.op_type == "Gemm" and tensor.name == last.input[2]:
            shift = (expected - answers(model, clips)).mean(axis=0)
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + shift, tensor.name))
    return model


def half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store each weight as float16."""
    small = onnx.ModelProto()
    small.CopyFrom(model)
    store_half(small, [weight.name for weight in weights(model)])
    return tidy(small)


def adapted(model: onnx.ModelProto, clips: Sequence[np.ndarray], bits: int) -> dict[str, Coded]:
    """All weights that can be rounded adaptively, by their names."""
    adaptable = [weight for weight in weights(model) if can_adapt(weight)]
    inputs = moments(model, adaptable, clips)
    return {weight.name: adapt(weight, inputs[weight.name], bits) for weight in adaptable}


def stored(model: onnx.ModelProto, coded: dict[str, Coded]) -> onnx.ModelProto:
    """A copy of a graph that has some of its initializers in few bits."""
    small = onnx.ModelProto()
    small.CopyFrom(model)
    store(small, coded)
    return tidy(small)
