"""Weights in few bits: integers that operators turn into floats when a runtime loads the file.

So a file is small and runs as fast as the float file: nothing is quantized at run time. `DequantizeLinear` would do the
same in one operator, but ONNX Runtime evaluates it again in each run, and its fast convolutions need constant weights.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from .onnx_graph import Operators

LEAST_VALUES = 64  # smaller tensors stay as they are
LEAST_OF_TABLE = 65_536  # values


@dataclass(frozen=True)
class Weight:
    """A weight of a convolution or a matrix product.

    Attributes:
        name: of the initializer.
        array: float32.
        axis: of the output channels.
        node: the operator that uses it.
    """

    name: str
    array: np.ndarray
    axis: int
    node: onnx.NodeProto


@dataclass(frozen=True)
class Coded:
    """A tensor as codes * scale.

    Attributes:
        codes: integers of the tensor's shape.
        scale: float32, of length 1 along all axes but that of the output channels.
        bits: of a code: 8 for -127..127, 4 for -7..7.
    """

    codes: np.ndarray
    scale: np.ndarray
    bits: int

    def decode(self) -> np.ndarray:
        """The float32 tensor that a runtime computes with."""
        decoded: np.ndarray = self.codes.astype(np.float32) * self.scale
        return decoded


def weights(model: onnx.ModelProto) -> list[Weight]:
    """The float weights of all convolutions, `Gemm` and `MatMul` of a graph, in its order."""
    arrays = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    found: dict[str, Weight] = {}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        for i, name in enumerate(node.input[:2]):
            if name not in arrays or math.prod(arrays[name].dims) < LEAST_VALUES or len(arrays[name].dims) < 2:
                continue
            transposed = any(one.name == "transB" and one.i for one in node.attribute)
            rows = node.op_type == "Conv" or transposed or i == 0
            axis = 0 if node.op_type == "Conv" else -2 if rows else -1
            found[name] = Weight(name, numpy_helper.to_array(arrays[name]), axis, node)
    return list(found.values())


def biases(model: onnx.ModelProto) -> list[str]:
    """The names of the float biases of a graph, except short ones."""
    sizes = {each.name: math.prod(each.dims) for each in model.graph.initializer if each.data_type == TensorProto.FLOAT}
    named = [node.input[2] for node in model.graph.node if node.op_type in ("Conv", "Gemm") and len(node.input) > 2]
    return [name for name in dict.fromkeys(named) if sizes.get(name, 0) >= LEAST_VALUES]


def tables(model: onnx.ModelProto) -> list[str]:
    """The names of large float constants that are no weights, such as embeddings of positions."""
    taken = {weight.name for weight in weights(model)}
    large = [each for each in model.graph.initializer if math.prod(each.dims) >= LEAST_OF_TABLE]
    return [each.name for each in large if each.data_type == TensorProto.FLOAT and each.name not in taken]


def largest_code(bits: int) -> int:
    """7 for 4 bits, 127 for 8: codes are symmetric about 0."""
    return (1 << bits - 1) - 1


def nearest(array: np.ndarray, axis: int, bits: int) -> Coded:
    """Round to the nearest code, with a scale for each output channel that makes its largest value the largest code."""
    others = tuple(i for i in range(array.ndim) if i != axis % array.ndim)
    peak = np.abs(array).max(axis=others, keepdims=True)
    scale = np.where(peak > 0, peak / largest_code(bits), 1).astype(np.float32)
    return Coded(np.rint(array / scale).astype(np.int8), scale, bits)


def store(model: onnx.ModelProto, coded: dict[str, Coded]) -> None:
    """Store initializers of a graph, by name, in few bits; the graph is changed."""
    operator = Operators(model)
    small = {name: one for name, one in coded.items() if one.bits == 4}
    if small:
        codes = np.concatenate([one.codes.ravel() for one in small.values()])
        numbers, start = unpack(operator, codes), 0
        for name, one in small.items():
            end = start + one.codes.size
            piece = operator("Slice", numbers, np.array([start]), np.array([end]))
            operator("Mul", operator("Reshape", piece, np.array(one.codes.shape)), one.scale, output=name)
            start = end
    for name, one in coded.items():
        if one.bits == 8:
            operator("Mul", operator("Cast", one.codes, to=TensorProto.FLOAT), one.scale, output=name)
    operator.insert()


def unpack(operator: Operators, codes: np.ndarray) -> str:
    """Store codes of 4 bits, (n,), two in a byte, and unpack them to floats (n,) or (n + 1,).

    The low halves of the bytes are the first half of the codes. The arithmetic is on floats, as every runtime has it.
    """
    halves = np.append(codes, np.zeros(len(codes) % 2, np.int8)).astype(np.uint8).reshape(2, -1) + np.uint8(8)
    low, high = halves & 15
    bytes_ = operator("Cast", low + 16 * high, to=TensorProto.FLOAT)
    highs = operator("Floor", operator("Mul", bytes_, 1 / 16))
    lows = operator("Sub", bytes_, operator("Mul", highs, 16))
    return operator("Sub", operator("Concat", lows, highs, axis=0), 8)


def store_half(model: onnx.ModelProto, names: Iterable[str]) -> None:
    """Store initializers of a graph, by name, as float16; a runtime without float16 computes in float32."""
    operator = Operators(model)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name in names:
        operator("Cast", arrays[name].astype(np.float16), to=TensorProto.FLOAT, output=name)
    operator.insert()
