"""Tiny models that hear how something is said: arousal, dominance and valence from speech."""

import os
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .auto import AdvTeacherConfig as AdvTeacherConfig
    from .auto import AdvTeacherForAudioClassification as AdvTeacherForAudioClassification
    from .auto import MobileNetAdvConfig as MobileNetAdvConfig
    from .auto import MobileNetAdvForAudioClassification as MobileNetAdvForAudioClassification
    from .auto import Wav2SmallConfig as Wav2SmallConfig
    from .auto import Wav2SmallForAudioClassification as Wav2SmallForAudioClassification
    from .errors import Wav2SmallError as Wav2SmallError
    from .predictor import Prediction as Prediction
    from .predictor import Predictor as Predictor
    from .predictor import load as load

__version__ = version("wav2small")

# nothing is sent: ONNX Runtime's builds report to their maker unless this is set before they are imported
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# name -> module; loaded on first use, so that `import wav2small` and the predictor need no torch
_PUBLIC = {
    "AdvTeacherConfig": "auto",
    "AdvTeacherForAudioClassification": "auto",
    "MobileNetAdvConfig": "auto",
    "MobileNetAdvForAudioClassification": "auto",
    "Prediction": "predictor",
    "Predictor": "predictor",
    "Wav2SmallConfig": "auto",
    "Wav2SmallError": "errors",
    "Wav2SmallForAudioClassification": "auto",
    "load": "predictor",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'wav2small' has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
