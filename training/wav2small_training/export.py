"""A model of ours -> ONNX: raw PCM in, arousal, dominance and valence out, any batch, any length."""

import warnings
from pathlib import Path

import torch

from wav2small.atomic import whole_file

OPSET = 17


def export_onnx(model: torch.nn.Module, path: Path) -> None:
    """Write `input_values` float32 [batch, samples] -> `logits` float32 [batch, 3].

    Args:
        model: in eval mode.
        path: of the ONNX file; its folder must exist.
    """
    example = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
    dynamic = {"input_values": {0: "batch", 1: "samples"}, "logits": {0: "batch"}}
    with whole_file(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _LogitsOnly(model).eval(), (example,), temporary, dynamo=False, opset_version=OPSET, dynamic_axes=dynamic,
            input_names=["input_values"], output_names=["logits"],
        )  # fmt: skip


class _LogitsOnly(torch.nn.Module):
    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        return self.model(input_values).logits
