"""Checkpoint, ONNX file, pipeline or Python function -> one function from a waveform to three numbers."""

import importlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import wav2small
from wav2small.bundled import bundled_name
from wav2small.hub import resolve_checkpoint
from wav2small.inference.catalogue import digest
from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.models.audio import read_audio
from wav2small.models.errors import Wav2SmallError

from ..data.corpora import MisfitError

Predict = Callable[[np.ndarray], np.ndarray]  # (samples,) float32 at 16 kHz -> (3,) arousal, dominance, valence


@dataclass(frozen=True)
class Model:
    """A model to evaluate.

    Attributes:
        source: checkpoint folder, name of a bundled one, Hub id, file or function, as a report shows it.
        runtime: "ONNX Runtime", "torch", "transformers" or "Python".
        weights: first digits of the SHA-256 of its weights.
        predict: waveform (samples,) float32 at 16 kHz -> (3,).
    """

    source: str
    runtime: str
    weights: str
    predict: Predict


def load_model(source: str | Sequence[str]) -> Model:
    """Load whatever predicts arousal, dominance and valence.

    Args:
        source: a checkpoint (its ONNX file without torch or, where it has none, its weights with torch): a folder, the
            name of a bundled one, or an id on the Hub ("org/name" or "org/name@revision"); a published teacher in its
            own layout; any other model for transformers' audio classification with these three labels; an ONNX file
            (waveform (1, samples) at 16 kHz -> (1, 3)); a Python function "module:function", from a waveform
            (samples,) at 16 kHz to three numbers. Several stand for their mean, as of a teacher.

    Raises:
        Wav2SmallError: if it cannot be found, or does not predict these three.
    """
    if not isinstance(source, str):
        return load_model(source[0]) if len(source) == 1 else load_mean(source)
    if source.endswith(".onnx"):
        return load_onnx(source)
    if re.fullmatch(r"[\w.]+:\w+", source):
        return load_function(source)
    folder = Path(source)
    if folder.is_dir() and not (folder / "onnx" / "model.onnx").is_file():
        return load_torch_model(source)
    try:
        predictor = wav2small.load(source)
    except Wav2SmallError:
        if folder.is_dir():
            raise
        return load_torch_model(source)  # on the Hub, without an ONNX file
    return Model(
        bundled_name(folder) or source,
        "ONNX Runtime",
        digest([predictor.file]),
        lambda clip: predictor.logits((clip, SAMPLING_RATE)),
    )


def load_mean(sources: Sequence[str]) -> Model:
    """Load several models, which predict their mean."""
    members = [load_model(source) for source in sources]
    return Model(
        " + ".join(member.source for member in members),
        members[0].runtime,
        "+".join(member.weights for member in members),
        lambda clip: np.mean([member.predict(clip) for member in members], axis=0),
    )


def load_onnx(source: str) -> Model:
    """Load an ONNX file of anybody."""
    import onnxruntime

    if not Path(source).is_file():
        raise Wav2SmallError(f"{source}: no such file")
    try:
        session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no base class of their own
        raise Wav2SmallError(f"{source} is not an ONNX file that loads ({str(error).splitlines()[0]})") from None
    inputs, output = session.get_inputs(), session.get_outputs()[0].name
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        named = ", ".join(f"{each.name} {each.type}" for each in inputs)
        raise Wav2SmallError(f"{source} takes {named}: its one input must be a waveform, float32 (1, samples)")

    def predict(clip: np.ndarray) -> np.ndarray:
        try:
            values = session.run([output], {inputs[0].name: clip[None].astype(np.float32)})[0]
        except Exception as error:  # as above
            raise Wav2SmallError(
                f"{source} cannot predict {len(clip)} samples ({str(error).splitlines()[0]})"
            ) from None
        return three(values, source)

    return Model(source, "ONNX Runtime", digest([Path(source)]), predict)


def load_function(source: str) -> Model:
    """Import a Python function."""
    module, _, name = source.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # as for `python -m`
    try:
        loaded = importlib.import_module(module)
        function = getattr(loaded, name)
    except (ImportError, AttributeError) as error:
        raise Wav2SmallError(f"{source}: {error}") from None
    finally:
        sys.path.pop(0)
    file = Path(str(loaded.__file__))
    return Model(source, "Python", digest([file]), lambda clip: three(function(clip), source))


def load_torch_model(source: str) -> Model:
    """Load weights with torch: of a checkpoint such as a teacher's or a run's, or of any model for transformers."""
    import torch

    from wav2small.checkpoint import CHECKPOINT_FILES

    from ..teachers import load_teacher

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        model = load_teacher(source, device)
    except Wav2SmallError as error:
        found = load_pipeline(source)
        if found is None:
            raise error from None
        return found

    def predict(clip: np.ndarray) -> np.ndarray:
        samples = read_audio((clip, SAMPLING_RATE), SAMPLING_RATE)
        try:
            with torch.inference_mode():
                logits: np.ndarray = model(torch.from_numpy(samples)[None].to(device)).logits[0].float().cpu().numpy()
        except ValueError as error:  # too short, or too long for a Whisper encoder
            raise Wav2SmallError(str(error)) from None
        return logits

    return Model(source, "torch", digest(weight_files(resolve_checkpoint(source, CHECKPOINT_FILES))), predict)


def load_pipeline(source: str) -> Model | None:
    """Load a model by transformers' pipeline; None if it does not predict arousal, dominance and valence."""
    import torch
    from transformers import pipeline

    folder = resolve_checkpoint(source, ["*.json", "*.safetensors", "*.bin"])
    try:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        pipe = pipeline("audio-classification", str(folder), device=device)
    except Exception:  # the caller has a better reason
        return None
    names = {str(label).lower() for label in pipe.model.config.id2label.values()}
    if names != set(LABELS):
        raise Wav2SmallError(f"{source} predicts {', '.join(sorted(names))}, not {', '.join(LABELS)}")

    def predict(clip: np.ndarray) -> np.ndarray:
        sound = {"raw": clip, "sampling_rate": SAMPLING_RATE}
        scores = {each["label"].lower(): each["score"] for each in pipe(sound, top_k=None, function_to_apply="none")}
        return np.array([scores[label] for label in LABELS])

    return Model(source, "transformers", digest(weight_files(folder)), predict)


def weight_files(folder: Path) -> list[Path]:
    """The weights of a checkpoint, in safetensors or in torch's own format."""
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))


def three(values: object, source: str) -> np.ndarray:
    """Make sure that a model predicts three numbers: (3,)."""
    found = np.asarray(values, np.float64).squeeze()
    if found.shape != (3,):
        raise MisfitError(f"{source} predicts {found.shape}, not three numbers: arousal, dominance, valence")
    return found


def short_names(sources: list[str]) -> list[str]:
    """Give models short names, all different.

    Raises:
        Wav2SmallError: if a model is named twice.
    """
    if len(set(sources)) < len(sources):
        raise Wav2SmallError(f"a model is named twice: {' '.join(sources)}")
    short = [Path(source).name for source in sources]
    return short if len(set(short)) == len(short) else sources
