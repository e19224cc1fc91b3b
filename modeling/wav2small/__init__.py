"""Tiny models that hear how something is said: arousal, dominance and valence from speech."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .convert.teacher import teacher_from as teacher_from
    from .inference.compare import compare as compare
    from .inference.prediction import Prediction as Prediction
    from .inference.predictor import Predictor as Predictor
    from .inference.predictor import load as load
    from .inference.segments import Segment as Segment
    from .inference.segments import find_turns as find_turns
    from .inference.segments import read_segments as read_segments
    from .models.audio import Channel as Channel
    from .models.auto import AdvTeacherConfig as AdvTeacherConfig
    from .models.auto import AdvTeacherForAudioClassification as AdvTeacherForAudioClassification
    from .models.auto import MobileNetAdvConfig as MobileNetAdvConfig
    from .models.auto import MobileNetAdvForAudioClassification as MobileNetAdvForAudioClassification
    from .models.auto import TcnAdvConfig as TcnAdvConfig
    from .models.auto import TcnAdvForAudioClassification as TcnAdvForAudioClassification
    from .models.auto import Wav2SmallConfig as Wav2SmallConfig
    from .models.auto import Wav2SmallForAudioClassification as Wav2SmallForAudioClassification
    from .models.errors import Wav2SmallError as Wav2SmallError

# ONNX Runtime's official builds may send usage data to Microsoft unless this is set before the import
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# name -> its module, imported on first use: `import wav2small` is fast, and the predictor needs no torch
_PUBLIC = {
    "AdvTeacherConfig": "models.auto",
    "AdvTeacherForAudioClassification": "models.auto",
    "MobileNetAdvConfig": "models.auto",
    "MobileNetAdvForAudioClassification": "models.auto",
    "Channel": "models.audio",
    "Prediction": "inference.prediction",
    "Predictor": "inference.predictor",
    "Segment": "inference.segments",
    "TcnAdvConfig": "models.auto",
    "TcnAdvForAudioClassification": "models.auto",
    "Wav2SmallConfig": "models.auto",
    "Wav2SmallError": "models.errors",
    "Wav2SmallForAudioClassification": "models.auto",
    "compare": "inference.compare",
    "find_turns": "inference.segments",
    "load": "inference.predictor",
    "read_segments": "inference.segments",
    "teacher_from": "convert.teacher",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # slow to import

        return version("wav2small")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'wav2small' has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
