"""A checkpoint of any kind -> one function from a waveform to three numbers."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import wav2small
from wav2small.inference.predictor import BUNDLED
from wav2small.models.audio import read_audio
from wav2small.models.errors import Wav2SmallError

RATE = 16000

Answer = Callable[[np.ndarray], np.ndarray]  # (samples,) float32 at 16 kHz -> (3,) arousal, dominance, valence


@dataclass(frozen=True)
class Model:
    """A model that answers clips.

    Attributes:
        source: checkpoint folder or Hub id, as a report shows it.
        runtime: "ONNX Runtime" or "torch".
        weights: first digits of the SHA-256 of its weights, or their commit on the Hub.
        answer: waveform (samples,) float32 at 16 kHz -> (3,).
    """

    source: str
    runtime: str
    weights: str
    answer: Answer


def load_model(source: str) -> Model:
    """Load a checkpoint: its ONNX file without torch or, where it has none, its weights with torch.

    Raises:
        Wav2SmallError: if it cannot be found, or is not a model of ours.
    """
    folder = Path(source)
    if folder.is_dir() and not (folder / "onnx" / "model.onnx").is_file():
        return torch_model(source)
    try:
        predictor = wav2small.load(source)
    except Wav2SmallError as error:
        if folder.is_dir():
            raise
        try:
            return torch_model(source)
        except Wav2SmallError:
            raise error from None
    shown = "the bundled checkpoint" if folder == BUNDLED else source
    return Model(shown, "ONNX Runtime", digest([predictor.file]), lambda clip: predictor((clip, RATE)).as_array())


def torch_model(source: str) -> Model:
    """Load the weights of a checkpoint, such as a teacher's or a run's, with torch."""
    import torch
    from transformers import AutoModelForAudioClassification

    import wav2small.models.auto  # noqa: F401  makes the Auto classes know ours
    from wav2small.models.modeling_adv import AdvPreTrainedModel

    try:
        model = AutoModelForAudioClassification.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Wav2SmallError(f"{source} cannot be loaded ({reason.rstrip('.')})") from None
    if not isinstance(model, AdvPreTrainedModel):
        raise Wav2SmallError(f"{source} is not a model of ours: see wav2small convert")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.eval().to(device)

    def answer(clip: np.ndarray) -> np.ndarray:
        heard = torch.from_numpy(read_audio((clip, RATE), model.config.sampling_rate))[None].to(device)  # (1, samples)
        with torch.inference_mode():
            return model(heard).logits[0].float().cpu().numpy()

    files = sorted(Path(source).glob("*.safetensors"))
    return Model(source, "torch", digest(files) if files else str(model.config._commit_hash), answer)


def digest(files: list[Path]) -> str:
    """First 16 digits of the SHA-256 of some files."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(2**20):
                total.update(block)
    return total.hexdigest()[:16]


def names(sources: list[str]) -> list[str]:
    """Short names of models, all different.

    Raises:
        Wav2SmallError: if a model is named twice.
    """
    if len(set(sources)) < len(sources):
        raise Wav2SmallError(f"a model is named twice: {' '.join(sources)}")
    short = ["bundled" if Path(source) == BUNDLED else Path(source).name for source in sources]
    return short if len(set(short)) == len(short) else sources
