"""The file of ExecuTorch, by the exporter of transformers 5."""

from pathlib import Path

import torch
from executorch.backends.xnnpack._passes.channels_last_tagged_reshape_pass import ChannelsLastTaggedReshapePass
from executorch.exir.dialects._ops import ops
from transformers.exporters import ExecutorchConfig, ExecutorchExporter

from .exportable import INPUT, Exportable

# XNNPACK's softmax is over the innermost axis. After a convolution that is the channels, unless the map is brought back
# into torch's order, which ExecuTorch forgets (upstream/README.md). Nothing but the partition reads this set.
ChannelsLastTaggedReshapePass.memory_sensitive_ops_nchw.add(ops.edge.aten._softmax.default)


def write_files(network: Exportable, sample: torch.Tensor, folder: Path) -> list[Path]:
    """Write `model.pte` for XNNPACK, which takes inputs of the shape of the sample."""
    exported = ExecutorchExporter().export(network, {INPUT: sample}, ExecutorchConfig())
    path = folder / "model.pte"
    ExecutorchExporter.save_program(exported.program, path)
    return [path]
