"""A checkpoint of any kind -> one function from a waveform to three numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import wav2small
from wav2small.bundled import bundled_name
from wav2small.hub import resolve_checkpoint
from wav2small.inference.catalogue import digest
from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.audio import read_audio
from wav2small.models.errors import Wav2SmallError

Predict = Callable[[np.ndarray], np.ndarray]  # (samples,) float32 at 16 kHz -> (3,) arousal, dominance, valence


@dataclass(frozen=True)
class Model:
    """A model to evaluate.

    Attributes:
        source: checkpoint folder, name of a bundled one, or Hub id, as a report shows it.
        runtime: "ONNX Runtime" or "torch".
        weights: first digits of the SHA-256 of its weights.
        predict: waveform (samples,) float32 at 16 kHz -> (3,).
    """

    source: str
    runtime: str
    weights: str
    predict: Predict


def load_model(source: str) -> Model:
    """Load a checkpoint: its ONNX file without torch or, where it has none, its weights with torch.

    Raises:
        Wav2SmallError: if it cannot be found, or is not a checkpoint of ours.
    """
    folder = Path(source)
    if folder.is_dir() and not (folder / "onnx" / "model.onnx").is_file():
        return load_torch_model(source)
    try:
        predictor = wav2small.load(source)
    except Wav2SmallError as error:
        if folder.is_dir():
            raise
        try:
            return load_torch_model(source)
        except Wav2SmallError:
            raise error from None
    return Model(
        bundled_name(folder) or source,
        "ONNX Runtime",
        digest([predictor.file]),
        lambda clip: predictor.logits((clip, SAMPLING_RATE)),
    )


def load_torch_model(source: str) -> Model:
    """Load the weights of a checkpoint, such as a teacher's or a run's, with torch."""
    import torch

    from wav2small.checkpoint import CHECKPOINT_FILES, load_checkpoint

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_checkpoint(source).to(device)

    def predict(clip: np.ndarray) -> np.ndarray:
        samples = read_audio((clip, SAMPLING_RATE), model.config.sampling_rate)
        try:
            with torch.inference_mode():
                logits: np.ndarray = model(torch.from_numpy(samples)[None].to(device)).logits[0].float().cpu().numpy()
        except ValueError as error:  # too short, or too long for a Whisper encoder
            raise Wav2SmallError(str(error)) from None
        return logits

    folder = resolve_checkpoint(source, CHECKPOINT_FILES)
    return Model(source, "torch", digest(sorted(folder.glob("*.safetensors"))), predict)


def short_names(sources: list[str]) -> list[str]:
    """Give models short names, all different.

    Raises:
        Wav2SmallError: if a model is named twice.
    """
    if len(set(sources)) < len(sources):
        raise Wav2SmallError(f"a model is named twice: {' '.join(sources)}")
    short = [Path(source).name for source in sources]
    return short if len(set(short)) == len(short) else sources
