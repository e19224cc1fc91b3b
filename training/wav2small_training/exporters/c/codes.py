"""The weights of a checkpoint in few bits, as in its ONNX files."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from transformers import PreTrainedModel

from wav2small.inference.predictor import ONNX_FILES
from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError

from ..export import export_onnx
from ..quantize import bias_shift, choose_four_bits, code_in_eight_bits, predict_clips, with_codes
from ..weights import LEAST_VALUES, Coded, Weight, nearest, weights
from .text import Layer

FILES = {8: ONNX_FILES["q8"], 4: ONNX_FILES["q4"]}


@dataclass(frozen=True)
class Coder:
    """Finds the codes that the ONNX files of a model have for a matrix.

    Attributes:
        weights: of the float graph.
        coded: codes by the name of a weight, for sources of 8 and of 4 bits.
        shifts: (3,), what these add to the last bias.
    """

    weights: list[Weight]
    coded: Mapping[int, Mapping[str, Coded]]
    shifts: Mapping[int, np.ndarray]

    @property
    def sources(self) -> tuple[int, ...]:
        """Bits of the sources that can be written: 32, and those that there are codes for."""
        return (32, *self.coded)

    def layer(self, matrix: np.ndarray, bias: np.ndarray | None, last: bool = False) -> Layer:
        """Code a matrix.

        Args:
            matrix: (outputs, ...), float32, as in the folded model.
            bias: (outputs,), or `None`.
            last: whether it is the last layer, whose bias makes up for what rounding shifts.

        Raises:
            Wav2SmallError: if the ONNX files hold other weights.
        """
        flat = np.ascontiguousarray(matrix.reshape(len(matrix), -1))
        found = next((weight for weight in self.weights if equal(as_matrix(weight.array, weight), flat)), None)
        if found is None and flat.size >= LEAST_VALUES:
            raise Wav2SmallError("the ONNX files hold other weights than model.safetensors: export them again")
        codes = {}
        for bits, coded in self.coded.items():
            if found is None:  # a small one, which the ONNX file keeps as it is
                codes[bits] = nearest(flat, 0, 8)
            else:
                each = coded[found.name]
                codes[bits] = Coded(as_matrix(each.codes, found), each.scale.ravel(), each.bits)
        biases = {bits: bias + shift for bits, shift in self.shifts.items()} if last and bias is not None else {}
        return Layer(flat, bias, codes, biases)


def round_for_speech(model: PreTrainedModel, clips: Sequence[np.ndarray] = ()) -> Coder:
    """Round the weights of a model anew.

    Args:
        model: a student.
        clips: real speech, waveforms (samples,), to round for; without it there are no codes of 4 bits.
    """
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(model, Path(folder) / "model.onnx")
        graph = onnx.load(Path(folder) / "model.onnx")
    coded, shifts = {8: code_in_eight_bits(graph, clips)}, {}
    if clips:
        coded[4] = choose_four_bits(graph, clips, coded[8])
        expected = predict_clips(graph, clips)
        shifts = {bits: bias_shift(with_codes(graph, each), clips, expected) for bits, each in coded.items()}
    return Coder(weights(graph), coded, shifts)


def has_codes(folder: Path) -> bool:
    """Whether a checkpoint has the ONNX files of float, 8 and 4 bits."""
    return all((folder / name).is_file() for name in (ONNX_FILES["fp32"], *FILES.values()))


def read_codes(folder: Path) -> Coder:
    """The codes in the ONNX files of a checkpoint, so that its C source predicts what they predict."""
    graph = onnx.load(folder / ONNX_FILES["fp32"])
    known, coded, shifts = weights(graph), {}, {}
    for bits, name in FILES.items():
        small = onnx.load(folder / name)
        codes = stored(small)
        if [each.codes.shape for each in codes] != [weight.array.shape for weight in known]:
            raise Wav2SmallError(f"{folder / name} is not of the same network as model.onnx: export both again")
        coded[bits] = {weight.name: each for weight, each in zip(known, codes, strict=True)}
        shifts[bits] = last_bias(small) - last_bias(graph)
    return Coder(known, coded, shifts)


def stored(graph: onnx.ModelProto) -> list[Coded]:
    """What [`weights.store`] wrote into a graph, in the order of the operators that use it."""
    makers = {node.output[0]: node for node in graph.graph.node}
    arrays = {tensor.name: tensor for tensor in graph.graph.initializer}
    products = [node for node in graph.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    inputs = [name for node in products for name in node.input[:2]]
    scaled = [makers[name] for name in dict.fromkeys(inputs) if name in makers and makers[name].op_type == "Mul"]
    kinds = {"Cast": 8, "Reshape": 4}  # what stands before the scale
    found = [node for node in scaled if node.input[0] in makers and makers[node.input[0]].op_type in kinds]
    names = [node.input[0] for node in found]
    tapped = onnx.ModelProto()
    tapped.CopyFrom(graph)
    tapped.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(tapped.SerializeToString(), providers=["CPUExecutionProvider"])
    codes = session.run(names, {"input_values": np.zeros((1, SAMPLING_RATE), np.float32)})
    return [
        Coded(np.rint(each).astype(np.int8), numpy_helper.to_array(arrays[node.input[1]]), kinds[makers[name].op_type])
        for node, name, each in zip(found, names, codes, strict=True)
    ]


def last_bias(graph: onnx.ModelProto) -> np.ndarray:
    """The bias of the layer that puts out the logits, (3,)."""
    last = next(node for node in graph.graph.node if "logits" in node.output)
    return numpy_helper.to_array(next(each for each in graph.graph.initializer if each.name == last.input[2]))


def equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two matrices are the same but for the rounding of floats."""
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-5, atol=1e-7)


def as_matrix(array: np.ndarray, weight: Weight) -> np.ndarray:
    """A weight of a graph, or its codes -> (outputs, inputs)."""
    outputs_first = np.moveaxis(array, weight.axis, 0)
    return np.ascontiguousarray(outputs_first.reshape(len(outputs_first), -1))
