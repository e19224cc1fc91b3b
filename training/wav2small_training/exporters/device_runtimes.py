"""The runtimes of phones and small boards: each function loads a file and returns a function of a window.

The window is (1, 80000) float32, 5 s at 16 kHz; the function gives the logits, (1, 3). Each has one thread. Nothing of
an exporter is imported here: what a process that runs a file needs of memory can be measured.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]


def load_executorch(path: Path) -> Run:
    """Load a `.pte` file with ExecuTorch, whose Python package imports torch."""
    import torch
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
    from executorch.runtime import Runtime

    _unsafe_reset_threadpool(1)
    method = Runtime.get().load_program(path).load_method("forward")

    def run(window: np.ndarray) -> np.ndarray:
        logits: np.ndarray = method.execute((torch.from_numpy(window),))[0].numpy()
        return logits

    return run


def load_litert(path: Path) -> Run:
    """Load a `.tflite` file with LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (window_place,) = (each["index"] for each in interpreter.get_input_details())
    logits_place = next(each["index"] for each in interpreter.get_output_details() if list(each["shape"]) == [1, 3])

    def run(window: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(window_place, window)
        interpreter.invoke()
        logits: np.ndarray = interpreter.get_tensor(logits_place)
        return logits

    return run


LOADERS = {"executorch": load_executorch, "litert": load_litert}
