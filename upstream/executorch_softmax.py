"""ExecuTorch's XNNPACK takes a softmax after a convolution over the channels: a difference of 0.35, and sums of 1."""

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime


class Network(torch.nn.Module):
    """A convolution, then a softmax over the last axis of its (1, 3, 1, 5)."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn (1, 2, 1, 5) into (1, 3, 1, 5)."""
        return self.conv(x).softmax(dim=-1)


torch.manual_seed(0)
network, x = Network().eval(), torch.randn(1, 2, 1, 5)
program = to_edge_transform_and_lower(torch.export.export(network, (x,)), partitioner=[XnnpackPartitioner()])
found = Runtime.get().load_program(program.to_executorch().buffer).load_method("forward").execute((x,))[0]
print((found - network(x)).abs().max().item(), "sums over channels:", found.sum(dim=1))  # noqa: T201
