"""ONNX files that hold only what a runtime needs, and a small way to add operators to them."""

import hashlib
import itertools
import string
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

PRODUCER = "wav2small"
OPSET, IR_VERSION = 18, 8  # ONNX Runtime 1.20 and later read them, and so does onnxruntime-web


class Operators:
    """Adds operators in front of a graph; a runtime evaluates those without other inputs once, when it loads the file.

    An input is the name of a tensor or a constant: an array, or a number that becomes a scalar of the given type.
    """

    def __init__(self, model: onnx.ModelProto, scalars: type[np.generic] = np.float32):
        self.model, self.scalars = model, scalars
        self.names = (f"{PRODUCER}.{len(model.graph.node)}.{i}" for i in itertools.count())
        self.nodes: list[onnx.NodeProto] = []

    def __call__(self, operator: str, *inputs: str | np.ndarray | float, output: str = "", **attributes: Any) -> str:
        """Add one operator; returns the name of its output."""
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        output = output or next(self.names)
        self.nodes.append(helper.make_node(operator, names, [output], **attributes))
        return output

    def constant(self, value: np.ndarray | float) -> str:
        """Store a constant; returns its name."""
        array = value if isinstance(value, np.ndarray) else np.asarray(value, self.scalars)
        name = next(self.names)
        self.model.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def insert(self) -> None:
        """Put the operators in front of the graph; their outputs replace constants of the same names."""
        graph = self.model.graph
        given = {output for node in self.nodes for output in node.output}
        initializers = [tensor for tensor in graph.initializer if tensor.name not in given]
        nodes = [*self.nodes, *(node for node in graph.node if given.isdisjoint(node.output))]
        del graph.initializer[:], graph.node[:]
        graph.initializer.extend(initializers)
        graph.node.extend(nodes)


def constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """All constants of a graph by name: initializers, and what `Constant` nodes hold."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = node.attribute[0].t
    return found


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph without traces of the code and the machine that made it.

    Descriptions, metadata, names of nodes and shapes of tensors are removed; tensors get short names, except inputs and
    outputs; equal constants are merged, and unused ones removed. All data is in the file itself.
    """
    graph = model.graph
    interface = [value.name for value in (*graph.input, *graph.output)]
    tensors = constants(model)
    new_names: dict[str, str] = {"": "", **{name: name for name in interface}}
    unused_names = (name for name in short_names() if name not in interface)
    seen: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    initializers, nodes = [], []

    def renamed(name: str) -> str:
        if name in new_names:
            return new_names[name]
        if name in tensors:
            array = numpy_helper.to_array(tensors[name])
            key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
            if key not in seen:
                seen[key] = next(unused_names)
                initializers.append(numpy_helper.from_array(array, seen[key]))
            new_names[name] = seen[key]
        else:
            new_names[name] = next(unused_names)
        return new_names[name]

    for node in graph.node:
        if node.op_type == "Constant":
            continue
        if node.op_type == "Identity" and node.output[0] not in interface:
            new_names[node.output[0]] = renamed(node.input[0])
            continue
        kept = onnx.NodeProto(op_type=node.op_type, domain=node.domain or None)
        kept.input.extend(renamed(name) for name in node.input)
        kept.output.extend(renamed(name) for name in node.output)
        kept.attribute.extend(each for each in node.attribute if not is_default(node.op_type, each))
        nodes.append(kept)
    inputs, outputs = (
        [helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, axes(value)) for value in values]
        for values in (graph.input, graph.output)
    )
    used = [helper.make_opsetid(opset.domain, opset.version) for opset in model.opset_import if opset.domain == ""]
    return helper.make_model(
        helper.make_graph(nodes, PRODUCER, inputs, outputs, initializers),
        producer_name=PRODUCER,
        ir_version=IR_VERSION,
        opset_imports=used,
    )


def is_default(op_type: str, attribute: onnx.AttributeProto) -> bool:
    """Whether an operator means the same without an attribute."""
    schema = onnx.defs.get_schema(op_type, OPSET).attributes[attribute.name]
    if schema.default_value.name and helper.get_attribute_value(schema.default_value) == helper.get_attribute_value(
        attribute
    ):
        return True
    defaults = {"dilations": {1}, "strides": {1}, "pads": {0}}  # of a convolution; they depend on its dimensions
    return op_type == "Conv" and attribute.name in defaults and set(attribute.ints) == defaults[attribute.name]


def axes(value: onnx.ValueInfoProto) -> list[str | int | None]:
    """The axes of an input or output: a name where they are dynamic, else a number; `None` where it is unknown."""
    return [axis.dim_param or axis.dim_value or None for axis in value.type.tensor_type.shape.dim]


def short_names() -> Iterator[str]:
    """Names for tensors: a, b, ..., z, aa, ab, ..."""
    for length in itertools.count(1):
        yield from map("".join, itertools.product(string.ascii_lowercase, repeat=length))
