"""What `config.json` of a checkpoint says: its sampling rate, and the longest clip that it can predict at once."""

import json
from pathlib import Path
from typing import Any

from ..models.adv import LABELS
from ..models.audio import MAX_SECONDS
from ..models.errors import Wav2SmallError

WHISPER_STEP = 0.02  # s for each position embedding of a Whisper encoder


def read_config(file: Path) -> tuple[int, float]:
    """Read the sampling rate, in Hz, and the longest clip, in s.

    Raises:
        Wav2SmallError: if the file does not belong to a checkpoint of arousal, dominance and valence.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        labels = tuple(config["id2label"][str(i)] for i in range(len(LABELS)))
        rate, longest = int(config["sampling_rate"]), longest_clip(config)
    except (ValueError, KeyError, TypeError) as error:
        raise Wav2SmallError(f"{file} does not belong to a wav2small checkpoint ({error!r})") from None
    if labels != LABELS:
        raise Wav2SmallError(f"{file} has the labels {labels}, not {LABELS}")
    return rate, longest


def longest_clip(config: dict[str, Any]) -> float:
    """Seconds that a model can predict at once: a Whisper encoder has position embeddings for so many."""
    encoders = [member["encoder"] for member in config.get("members", [])]
    whispers = [encoder for encoder in encoders if encoder["model_type"] == "whisper"]
    return min([MAX_SECONDS, *(float(encoder["max_source_positions"]) * WHISPER_STEP for encoder in whispers)])
