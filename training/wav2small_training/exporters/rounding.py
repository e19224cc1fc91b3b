"""Adaptive rounding: codes that preserve the output of a layer for real speech, rather than each weight by itself.

After GPTQ (arXiv 2210.17323): weights are rounded one input at a time, and the weights that are still to be rounded
compensate for the error of each, as far as their inputs are correlated.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from ..progress import tracked
from .weights import Coded, Weight, largest_code

DAMPING = 0.01  # share of the mean square of the inputs, added to each, so that the inverse is stable
SHRINK = np.linspace(1, 0.5, 26)  # candidates for the largest code, as shares of a channel's largest weight


def can_adapt(weight: Weight) -> bool:
    """Whether a weight can be rounded adaptively: matrix products from the right, 2-D convolutions without groups."""
    if weight.node.op_type == "Conv":
        return weight.array.ndim == 4 and attribute(weight.node, "group", 1) == 1
    return weight.array.ndim == 2 and weight.node.input[1] == weight.name


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """An attribute of a node."""
    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), default)


def input_moments(
    model: onnx.ModelProto, weights: Iterable[Weight], clips: Collection[np.ndarray]
) -> dict[str, np.ndarray]:
    """Second moments of the inputs of weights, summed over speech.

    Args:
        model: the float graph.
        weights: of the graph; [`can_adapt`] must hold for each.
        clips: waveforms (samples,), float32.

    Returns:
        A matrix (inputs, inputs), float64, for each weight by its name.
    """
    weights = list(weights)
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    taps = sorted({weight.node.input[0] for weight in weights})
    tapped.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in taps)
    session = onnxruntime.InferenceSession(tapped.SerializeToString(), providers=["CPUExecutionProvider"])
    sums: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(()))
    for clip in tracked(clips, "measuring speech"):
        values = dict(zip(taps, session.run(taps, {"input_values": clip[None]}), strict=True))
        for weight in weights:
            inputs = input_rows(weight, values[weight.node.input[0]])
            sums[weight.name] = sums[weight.name] + (inputs.T @ inputs).astype(np.float64)
    return dict(sums)


def input_rows(weight: Weight, value: np.ndarray) -> np.ndarray:
    """The inputs (times, inputs) that a weight is multiplied with, seen as a matrix (outputs, inputs)."""
    if weight.node.op_type != "Conv":
        return value.reshape(-1, value.shape[-1])
    top, left, bottom, right = attribute(weight.node, "pads", [0, 0, 0, 0])
    padded = np.pad(value, ((0, 0), (0, 0), (top, bottom), (left, right)))
    strides = attribute(weight.node, "strides", [1, 1])
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.array.shape[2:], axis=(2, 3))
    windows = windows[:, :, :: strides[0], :: strides[1]]  # (batch, channels, height, width, kernel, kernel)
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, np.prod(weight.array.shape[1:]))


def adapt(weight: Weight, moment: np.ndarray, bits: int) -> Coded:
    """Round a weight so that its products with real speech change least.

    Args:
        weight: see [`can_adapt`].
        moment: of its inputs, see [`input_moments`].
        bits: of a code.
    """
    matrix = np.moveaxis(weight.array, weight.axis, 0)
    shape = matrix.shape
    matrix = matrix.reshape(shape[0], -1).astype(np.float64)  # (outputs, inputs)
    moment = moment + np.eye(len(moment)) * (DAMPING * np.trace(moment) / len(moment) + 1e-12)
    scale = best_scale(matrix, moment, bits)  # (outputs, 1)
    order = np.argsort(-np.diag(moment))  # the strongest inputs first, while most weights are left to compensate
    factor = np.linalg.cholesky(np.linalg.inv(moment[np.ix_(order, order)])).T  # upper triangle
    left = matrix[:, order]
    codes = np.empty_like(left)
    for i in range(len(order)):
        codes[:, i] = np.clip(np.rint(left[:, i] / scale[:, 0]), -largest_code(bits), largest_code(bits))
        error = (left[:, i] - codes[:, i] * scale[:, 0]) / factor[i, i]
        left[:, i:] -= error[:, None] * factor[i, i:]
    codes = np.moveaxis(codes[:, np.argsort(order)].reshape(shape), 0, weight.axis)
    scale = np.moveaxis(scale.reshape(-1, *[1] * (len(shape) - 1)), 0, weight.axis)
    return Coded(codes.astype(np.int8, order="C"), scale.astype(np.float32, order="C"), bits)


def best_scale(matrix: np.ndarray, moment: np.ndarray, bits: int) -> np.ndarray:
    """The scale of each output channel with the least loss when rounded to the nearest code: (outputs, 1)."""
    peak = np.abs(matrix).max(axis=1, keepdims=True)
    peak[peak == 0] = largest_code(bits)
    best: np.ndarray = np.zeros_like(peak)
    least = np.full_like(peak, np.inf)
    for share in SHRINK:
        scale = share * peak / largest_code(bits)
        error = matrix - scale * np.clip(np.rint(matrix / scale), -largest_code(bits), largest_code(bits))
        loss = ((error @ moment) * error).sum(axis=1, keepdims=True)
        best, least = np.where(loss < least, scale, best), np.minimum(loss, least)
    return best
