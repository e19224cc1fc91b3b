"""The file of ExecuTorch, by the exporter of transformers 5, and its runtime."""

from pathlib import Path

import numpy as np
import torch
from executorch.runtime import Runtime
from transformers.exporters import ExecutorchConfig, ExecutorchExporter

from .exportable import INPUT, Exportable


def write_files(network: Exportable, sample: torch.Tensor, folder: Path) -> list[Path]:
    """Write `model.pte` for XNNPACK, which takes inputs of the shape of the sample."""
    exported = ExecutorchExporter().export(network, {INPUT: sample}, ExecutorchConfig())
    path = folder / "model.pte"
    ExecutorchExporter.save_program(exported.program, path)
    return [path]


def run(file: Path, window: np.ndarray) -> np.ndarray:
    """The logits (1, 3) for a window (1, samples)."""
    method = Runtime.get().load_program(file).load_method("forward")
    logits: np.ndarray = method.execute((torch.from_numpy(window),))[0].numpy()
    return logits
