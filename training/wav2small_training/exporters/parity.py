"""Whether an ONNX file predicts what torch predicts: waveforms to try, and the difference of the predictions."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from wav2small.models.adv import SAMPLING_RATE

SHAPES = ((1, 0.1), (3, 1.2345), (1, 5.0))  # clips and seconds of the batches to try


def probe_batches() -> list[np.ndarray]:
    """Batches (clips, samples) of several lengths: noise under a tone that rises and falls like a voice."""
    random = np.random.default_rng(0)
    batches = []
    for clips, seconds in SHAPES:
        time = np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE
        pitch = 140 * (1 + 0.3 * np.sin(2 * np.pi * random.uniform(0.5, 2, (clips, 1)) * time))
        tone = np.sin(2 * np.pi * np.cumsum(pitch, axis=1) / SAMPLING_RATE)
        batches.append((0.1 * tone + 0.02 * random.standard_normal(tone.shape)).astype(np.float32))
    return batches


def run_onnx(model: Path | bytes, batches: Iterable[np.ndarray], output: str = "logits") -> list[np.ndarray]:
    """One output of an ONNX file, or of its content, for each batch (clips, samples) float32."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return [session.run([output], {"input_values": batch})[0] for batch in batches]


def largest_difference(predictions: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest difference between predictions (clips, 3), batch by batch, relative to values above 1."""
    pairs = zip(predictions, expected, strict=True)
    return max(float(np.abs(got - wanted).max() / max(1, np.abs(wanted).max())) for got, wanted in pairs)
