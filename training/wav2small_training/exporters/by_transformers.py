"""The raw graph of a network by the exporter of transformers 5, which goes through `torch.export`."""

import numpy as np
import onnx
import onnx_ir
import torch
from onnx import numpy_helper
from torch.export import Dim
from transformers.exporters import OnnxConfig, OnnxExporter

from .exportable import BATCH, INPUT, LEAST_SAMPLES, MOST_SAMPLES, SAMPLE_SHAPE, SAMPLES, Exportable
from .onnx_graph import OPSET


def raw_graph(model: Exportable) -> onnx.ModelProto:
    """Write a network as ONNX."""
    config = OnnxConfig(
        dynamic_shapes={INPUT: {0: Dim(BATCH, min=1), 1: Dim(SAMPLES, min=LEAST_SAMPLES, max=MOST_SAMPLES)}},
        opset_version=OPSET,
        prefer_deferred_runtime_asserts_over_guards=True,  # else what holds of the sample alone is an error
    )
    exported = OnnxExporter().export(model, {INPUT: torch.zeros(SAMPLE_SHAPE)}, config)
    graph: onnx.ModelProto = onnx_ir.to_proto(exported.program)
    axes = [value.type.tensor_type.shape.dim for value in (*graph.graph.input, *graph.graph.output)]
    for dims in axes:
        dims[0].dim_param = BATCH
    axes[0][1].dim_param = SAMPLES  # torch calls it by a number
    restore_biases(graph.graph)
    return graph


def restore_biases(graph: onnx.GraphProto) -> None:
    """Give each linear layer a bias: the exporter leaves out one of zeros, and rounding wants one to correct."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Gemm" and len(node.input) == 2:
            transposed = any(each.name == "transB" and each.i for each in node.attribute)
            size = tensors[node.input[1]].dims[0 if transposed else 1]
            bias = numpy_helper.from_array(np.zeros(size, np.float32), f"{node.output[0]}.bias")
            graph.initializer.append(bias)
            node.input.append(bias.name)
