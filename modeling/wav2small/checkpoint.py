"""Checkpoints of our kinds of model -> models in torch."""

from pathlib import Path

from safetensors import SafetensorError
from transformers import AutoModelForAudioClassification, PreTrainedModel

from .hub import resolve_checkpoint
from .models.auto import CLASSES
from .models.errors import Wav2SmallError

CHECKPOINT_FILES = ["config.json", "model*.safetensors", "model.safetensors.index.json"]


def load_checkpoint(source: str | Path) -> PreTrainedModel:
    """Load a model of ours with its weights, for inference, on the CPU.

    Args:
        source: folder of a checkpoint, its name in this package, or its id on the Hub ("org/name").

    Raises:
        Wav2SmallError: if it cannot be found or read, is no model of ours, or lacks weights.
    """
    folder = resolve_checkpoint(source, CHECKPOINT_FILES)
    try:
        model, info = AutoModelForAudioClassification.from_pretrained(
            folder, output_loading_info=True, trust_remote_code=False
        )
    except Wav2SmallError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise Wav2SmallError(f"{source} is not a checkpoint that loads ({reason})") from None
    if model.config.model_type not in CLASSES:
        raise Wav2SmallError(f"{source} holds a {model.config.model_type}, not one of {', '.join(CLASSES)}")
    if missing := sorted(info["missing_keys"]):
        raise Wav2SmallError(f"{source} lacks the weights {missing[0]} ({len(missing)} in all): save it again")
    return model.eval()
