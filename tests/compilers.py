"""Compilers and emulators of Debian for tests that run C; without one a test skips with the reason."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

C99 = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror")


def need(program: str) -> str:
    """The path of a program."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"no {program}: .ci/run installs it")
    return found


def compile_c(out: Path, *arguments: str | Path, compiler: str = "gcc") -> Path:
    """Compile as C99 without a warning, to `out`."""
    command = [need(compiler), *C99, *map(str, arguments), "-o", str(out), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


class Library:
    """A compiled `wav2small.c`; each call is one function of its header."""

    def __init__(self, path: Path, outputs: int):
        self.functions, self.outputs = ctypes.CDLL(str(path)), outputs

    def call(self, name: str, state: ctypes.Array, *samples: np.ndarray | None) -> int:
        """A function of a state and, where there are any, samples: float32 or int16."""
        arguments: list = []
        for each in samples:
            arguments += (
                [None, 3] if each is None else [each.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(each))]
            )
        return getattr(self.functions, f"wav2small_{name}")(ctypes.byref(state), *arguments)

    def predict(self, name: str, state: ctypes.Array, *samples: np.ndarray) -> tuple[int, np.ndarray]:
        """A function that predicts: its status and outputs."""
        out = (ctypes.c_float * self.outputs)()
        arguments: list = []
        for each in samples:
            arguments += [each.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(each))]
        status = getattr(self.functions, f"wav2small_{name}")(ctypes.byref(state), *arguments, out)
        return status, np.array(out[:])

    def clip(self, samples: np.ndarray) -> np.ndarray:
        """The outputs for a clip, float32 or int16."""
        kind = "f32" if samples.dtype == np.float32 else "s16"
        status, outputs = self.predict(f"predict_{kind}", memory(), samples)
        assert status == 0
        return outputs


def memory() -> ctypes.Array:
    """Zeros, as a static object of any type in the header has them."""
    return ctypes.create_string_buffer(4_000_000)
