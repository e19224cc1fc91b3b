"""A model of a stranger predicts one recording: in a process of its own, with bounded time and memory.

python -m wav2small_demo.named_model FOLDER DTYPE, with the samples (float32 at 16 kHz) on standard input
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from wav2small import Wav2SmallError

from .limits import MODEL_MEMORY, MODEL_SECONDS


def predict_apart(name: str, folder: Path, dtype: str, samples: np.ndarray) -> dict[str, Any]:
    """Predict (samples,) at 16 kHz with the model in a folder.

    Args:
        name: of the model in errors.
        folder: of the checkpoint.
        dtype: which ONNX file.
        samples: of the recording.

    Returns:
        What [`main`] prints.

    Raises:
        Wav2SmallError: if the model does not load, or takes too long or too much memory.
    """
    command = [sys.executable, "-m", __name__, str(folder), dtype]
    environment = {key: value for key, value in os.environ.items() if "TOKEN" not in key}
    try:
        done = subprocess.run(
            command, input=samples.tobytes(), capture_output=True, timeout=MODEL_SECONDS, env=environment, check=True
        )
    except subprocess.TimeoutExpired:
        raise Wav2SmallError(f"{name} was stopped after {MODEL_SECONDS:g} s: too slow for this demo") from None
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.decode(errors="replace").strip().splitlines() or ["it ended without a message"])[-1]
        raise Wav2SmallError(f"{name} cannot predict here: {reason.removeprefix('wav2small: ')}") from None
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    """Predict what is on standard input; print the values, the size of the file and the time as JSON."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MODEL_MEMORY, MODEL_MEMORY))
    from wav2small import load

    from .analysis import timed

    samples = np.frombuffer(sys.stdin.buffer.read(), np.float32)
    sys.stdout.write(json.dumps(timed(load(sys.argv[1], dtype=sys.argv[2]), samples)))  # type: ignore[arg-type]


if __name__ == "__main__":
    from wav2small.cli.command import run_command

    run_command(main)
