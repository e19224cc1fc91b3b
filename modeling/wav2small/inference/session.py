"""The session of ONNX Runtime that runs a model, and the memory that it takes."""

from pathlib import Path

import numpy as np
import onnxruntime

from ..models.adv import SAMPLING_RATE
from ..models.errors import Wav2SmallError

BATCH = 8  # clips in a forward pass, and
BATCH_SECONDS = 60.0  # of audio; a longer clip has a pass of its own, after which its memory is given back


def open_session(file: Path, threads: int) -> onnxruntime.InferenceSession:
    """Load a model.

    Raises:
        Wav2SmallError: if it is none, or ONNX Runtime cannot load it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no public base class for its errors
        raise Wav2SmallError(f"{file} is not an ONNX model that loads ({error})") from None


def run_options(batch: np.ndarray) -> onnxruntime.RunOptions | None:
    """The option that gives memory back after a large pass; small ones are faster if it is kept."""
    if batch.size <= BATCH_SECONDS * SAMPLING_RATE:
        return None
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options
