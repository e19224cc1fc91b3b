"""Ways to run a model on one thread: each function loads a file and returns a function of a waveform (1, samples)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[np.ndarray], Any]
Load = Callable[..., Run]  # of a path, or of `None` where there is no file


def load_onnx(path: Path | None) -> Run:
    """Load an ONNX file with ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda waveform: session.run(["logits"], {"input_values": waveform})[0]


def load_torch(path: Path | None) -> Run:
    """Load the checkpoint whose weights are in a file with torch."""
    import torch

    from wav2small.checkpoint import load_checkpoint

    assert path is not None
    torch.set_num_threads(1)
    model = load_checkpoint(path.parent)

    def run(waveform: np.ndarray) -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(waveform)).logits.numpy()

    return run


def load_c(path: Path | None) -> Run:
    """Load a `wav2small.c` that was compiled as a shared library."""
    import ctypes

    functions, outputs = ctypes.CDLL(str(path)), (ctypes.c_float * 4)()
    memory = np.zeros(4_000_000, np.uint8)  # of which the system gives what is used
    state = memory.ctypes.data_as(ctypes.c_void_p)

    def run(waveform: np.ndarray) -> Any:
        samples = waveform.ctypes.data_as(ctypes.c_void_p)
        status = functions.wav2small_predict_f32(state, samples, ctypes.c_size_t(waveform.shape[1]), outputs)
        assert status == 0
        return np.array(outputs[:3])[None]

    return run


def load_opensmile(path: Path | None) -> Run:
    """Load openSMILE's functionals eGeMAPSv02, for comparison; they need no file."""
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals, num_workers=1)
    return lambda waveform: smile.process_signal(waveform[0], 16000)


def load_nothing(path: Path | None) -> Run:
    """Import ONNX Runtime and load nothing."""
    import onnxruntime  # noqa: F401

    return lambda waveform: waveform
