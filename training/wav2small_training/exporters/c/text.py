"""Numbers as C: arrays, definitions, and the layers in 32, 8 and 4 bits."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..weights import Coded

ROW = 116  # characters in a line of an array


@dataclass(frozen=True)
class Layer:
    """A linear layer, or a depthwise convolution (channels, taps).

    Attributes:
        weights: (outputs, inputs), float32.
        bias: (outputs,), or `None`.
        codes: the weights in integers, for sources of 8 and of 4 bits. In the latter, some layers keep 8 bits.
        biases: instead of `bias`, for sources of 8 and of 4 bits.
    """

    weights: np.ndarray
    bias: np.ndarray | None
    codes: dict[int, Coded] = field(default_factory=dict)
    biases: dict[int, np.ndarray] = field(default_factory=dict)

    def select(self, outputs: slice, inputs: np.ndarray | slice = slice(None)) -> "Layer":
        """Some outputs of a layer, and its inputs in another order."""
        codes = {
            bits: replace(each, codes=each.codes[outputs][:, inputs], scale=each.scale[outputs])
            for bits, each in self.codes.items()
        }
        bias = None if self.bias is None else self.bias[outputs]
        return Layer(self.weights[outputs][:, inputs], bias, codes)


def number(value: float) -> str:
    """The shortest float constant of C that is the same float32."""
    text = str(np.float32(value))
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"


def array(kind: str, name: str, values: np.ndarray) -> str:
    """`static const kind name[] = {...};`, values in their order in memory."""
    flat = np.asarray(values).ravel()
    words = [number(each) if kind == "float" else str(int(each)) for each in flat]
    lines = textwrap.wrap(", ".join(words), ROW, break_long_words=False, break_on_hyphens=False)
    return "\n".join([f"static const {kind} {name}[{flat.size}] = {{", *(f"    {line}" for line in lines), "};\n"])


def defines(values: Mapping[str, float | str]) -> str:
    """`#define` lines."""
    texts = {name: number(value) if isinstance(value, float) else str(value) for name, value in values.items()}
    return "".join(f"#define {name} {text}\n" for name, text in texts.items())


def filled(matrix: np.ndarray, multiple: int) -> np.ndarray:
    """Fill up the last axis of a matrix with zeros to a multiple."""
    return np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % multiple)))


def four_bit_words(codes: np.ndarray) -> np.ndarray:
    """Codes -7..7 (outputs, inputs) -> uint16 (outputs, words), four in a word: see `dot_4` in `dense.c`."""
    groups = filled(codes, 32).reshape(len(codes), -1, 4, 8).astype(np.int64) & 15  # (outputs, groups, shift, word)
    words: np.ndarray = (groups << np.arange(0, 16, 4)[:, None]).sum(axis=2).reshape(len(codes), -1)
    return words


def linear(name: str, layer: Layer, bits: int) -> tuple[str, str]:
    """The arrays of a linear layer in a source of so many bits, and its `struct dense`."""
    outputs, inputs = layer.weights.shape
    bias = layer.biases.get(bits, layer.bias)
    bias_name = "NULL" if bias is None else f"{name}_bias"
    if bits == 32:
        text = "" if bias is None else array("float", bias_name, bias)
        text += array("float", f"{name}_weights", filled(layer.weights.T, 16))
        return text, f"{{ {inputs}, {outputs}, {name}_weights, {bias_name} }}"
    coded, text, bias_scale = layer.codes[bits], "", 1.0
    if bias is not None:
        bias_scale = float(np.abs(bias).max()) / 32767 or 1.0
        text += array("int16_t", bias_name, np.rint(bias / bias_scale))
    if coded.bits == 4:
        text += array("uint16_t", f"{name}_weights", four_bit_words(coded.codes))
    else:
        text += array("int8_t", f"{name}_weights", filled(coded.codes, 16))
    text += array("float", f"{name}_scale", coded.scale)
    return (
        text,
        f"{{ {inputs}, {outputs}, {coded.bits}, {name}_weights, {name}_scale, {bias_name}, {number(bias_scale)} }}",
    )


def depthwise(name: str, layer: Layer, bits: int, place: Sequence[int]) -> tuple[str, str]:
    """The same for a depthwise convolution, from the first members of its `struct depthwise`."""
    first = ", ".join(map(str, place))
    if bits == 32:
        return array("float", f"{name}_weights", layer.weights.T), f"{{ {first}, {name}_weights }}"
    coded = layer.codes[bits]
    text = array("int8_t", f"{name}_weights", coded.codes.T) + array("float", f"{name}_scale", coded.scale)
    return text, f"{{ {first}, {name}_weights, {name}_scale }}"


def structs(kind: str, name: str, layers: Sequence[tuple[str, str]]) -> str:
    """The arrays of layers, then `static const struct kind NAME[]` of them."""
    texts, members = zip(*layers, strict=True)
    rows = "".join(f"    {each},\n" for each in members)
    return f"{''.join(texts)}static const struct {kind} {name}[{len(members)}] = {{\n{rows}}};\n"
