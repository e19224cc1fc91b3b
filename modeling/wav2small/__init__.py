"""Tiny models that hear how something is said: arousal, dominance and valence from speech."""

import os
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .convert.teacher import teacher_from as teacher_from
    from .inference.predictor import Prediction as Prediction
    from .inference.predictor import Predictor as Predictor
    from .inference.predictor import load as load
    from .models.auto import AdvTeacherConfig as AdvTeacherConfig
    from .models.auto import AdvTeacherForAudioClassification as AdvTeacherForAudioClassification
    from .models.auto import MobileNetAdvConfig as MobileNetAdvConfig
    from .models.auto import MobileNetAdvForAudioClassification as MobileNetAdvForAudioClassification
    from .models.auto import TcnAdvConfig as TcnAdvConfig
    from .models.auto import TcnAdvForAudioClassification as TcnAdvForAudioClassification
    from .models.auto import Wav2SmallConfig as Wav2SmallConfig
    from .models.auto import Wav2SmallForAudioClassification as Wav2SmallForAudioClassification
    from .models.errors import Wav2SmallError as Wav2SmallError

__version__ = version("wav2small")

# nothing is sent: ONNX Runtime's builds report to their maker unless this is set before they are imported
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# name -> module; loaded on first use, so that `import wav2small` and the predictor need no torch
_PUBLIC = {
    "AdvTeacherConfig": "models.auto",
    "AdvTeacherForAudioClassification": "models.auto",
    "MobileNetAdvConfig": "models.auto",
    "MobileNetAdvForAudioClassification": "models.auto",
    "Prediction": "inference.predictor",
    "Predictor": "inference.predictor",
    "TcnAdvConfig": "models.auto",
    "TcnAdvForAudioClassification": "models.auto",
    "Wav2SmallConfig": "models.auto",
    "Wav2SmallError": "models.errors",
    "Wav2SmallForAudioClassification": "models.auto",
    "load": "inference.predictor",
    "teacher_from": "convert.teacher",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'wav2small' has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
