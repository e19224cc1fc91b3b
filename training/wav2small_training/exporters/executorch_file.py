"""The files of ExecuTorch, by its own tools, for XNNPACK."""

from pathlib import Path

import torch
from executorch.backends.xnnpack._passes.channels_last_tagged_reshape_pass import ChannelsLastTaggedReshapePass
from executorch.backends.xnnpack.partition.config.xnnpack_config import ConfigPrecisionType
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from executorch.exir import to_edge_transform_and_lower
from executorch.exir.dialects._ops import ops
from torch import nn
from torch.export import ExportedProgram
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from .exportable import Exportable

# XNNPACK's softmax is over the innermost axis. After a convolution that is the channels, unless the map is brought back
# into torch's order, which ExecuTorch forgets (upstream/README.md).
ChannelsLastTaggedReshapePass.memory_sensitive_ops_nchw.add(ops.edge.aten._softmax.default)


def write_files(network: Exportable, sample: torch.Tensor, folder: Path) -> list[Path]:
    """Write `model.pte` and `model_quantized.pte`, which take inputs of the shape of the sample."""
    path, small = folder / "model.pte", folder / "model_quantized.pte"
    eight_bits_first = XnnpackPartitioner(config_precisions=ConfigPrecisionType.DYNAMIC_QUANT, per_op_mode=True)
    path.write_bytes(lower(torch.export.export(network.network, (sample,)), XnnpackPartitioner()))
    small.write_bytes(lower(eight_bit(network.network, sample), eight_bits_first, XnnpackPartitioner()))
    return [path, small]


def eight_bit(network: nn.Module, sample: torch.Tensor) -> ExportedProgram:
    """Store the weights of 2-D convolutions and linear layers in 8 bits, one scale for each channel.

    Their inputs get 8 bits as the file runs, by a scale that each tensor is given then: no speech is needed to
    calibrate on, and the spectrum, which is no such layer, stays in float32.
    """
    quantizer = XNNPACKQuantizer()
    for layer in (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default):
        quantizer.set_operator_type(layer, get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True))
    prepared = prepare_pt2e(torch.export.export(network, (sample,)).module(), quantizer)
    prepared(sample)
    return torch.export.export(convert_pt2e(prepared), (sample,))


def lower(program: ExportedProgram, *partitioners: XnnpackPartitioner) -> bytes:
    """Compile a program: what partitioners choose for XNNPACK, and the rest for ExecuTorch's own kernels."""
    edge = to_edge_transform_and_lower(program, partitioner=list(partitioners))
    return bytes(edge.to_executorch().buffer)
