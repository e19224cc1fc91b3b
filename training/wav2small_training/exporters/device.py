"""A student -> files for the runtimes of phones and small boards, ExecuTorch and LiteRT: windows of one length."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from transformers import PreTrainedModel

from wav2small.atomic import whole_folder
from wav2small.checkpoint import load_checkpoint
from wav2small.hub import resolve_checkpoint
from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import write_provenance

from .device_runtimes import LOADERS, Run
from .export import TOLERANCE, export_provenance, output_names, silenced
from .exportable import Exportable
from .fold import FOLDED, fold
from .parity import probe_batches

SECONDS = 5.0
EIGHT_BIT_TOLERANCE = 0.03  # of predictions, which are about 0 to 1
Runtime = Literal["executorch", "litert"]


def export_device(source: str, out: Path, runtime: Runtime) -> None:
    """Write a student for one runtime, with the `provenance.json` of the weights.

    `input_values` is float32 (1, 80000), a window of 5 s at 16 kHz; the outputs are `logits`, (1, 3), and for a
    temporal convolution network `speech`, (1, 1). ExecuTorch: `model.pte` and `model_quantized.pte`; LiteRT:
    `model.tflite` and `model_quantized.tflite`. A file of 8 bits is left out if it differs by more than 0.03.

    Args:
        source: folder of a checkpoint, its name, or its id on the Hub.
        out: new folder.
        runtime: `executorch` (needs the extra of this name) or `litert` (as well).

    Raises:
        Wav2SmallError: if the source is no student, or the runtime does not predict what the model predicts.
    """
    writer = importlib.import_module(f".{runtime}_file", __package__)
    model = load_checkpoint(resolve_checkpoint(source, ["*"]))
    if model.config.model_type not in FOLDED:
        raise Wav2SmallError(f"{source} holds a {model.config.model_type}: only students run on small devices")
    origin = export_provenance(source, None, None)
    network = Exportable(model.config, fold(model), output_names(model.config.model_type)).eval()
    sample = torch.zeros(1, round(SECONDS * SAMPLING_RATE))
    with whole_folder(out) as temporary:
        with silenced():
            files = writer.write_files(network, sample, temporary)
        for file in files:
            check_device_file(file, model, LOADERS[runtime])
        write_provenance(origin, temporary)


def check_device_file(file: Path, model: PreTrainedModel, load: Callable[[Path], Run]) -> None:
    """Compare what a runtime predicts with the model; a file of 8 bits that differs is removed, another is an error."""
    window = np.resize(probe_batches()[-1], (1, round(SECONDS * SAMPLING_RATE)))
    with torch.inference_mode():
        expected = model(torch.from_numpy(window)).logits.numpy()
    quantized = "quantized" in file.name
    difference = np.abs(load(file)(window) - expected).max()
    if difference <= (EIGHT_BIT_TOLERANCE if quantized else TOLERANCE) * max(1, np.abs(expected).max()):
        return
    if not quantized:
        raise Wav2SmallError(f"{file.name} predicts other than the model, by {difference:.1e}: do not use it")
    file.unlink()
