"""Configuration of the prosody teacher."""

from typing import Any

from transformers import PretrainedConfig


class ProsodyAdvConfig(PretrainedConfig):
    """Configuration of [`ProsodyAdvForAudioClassification`].

    Args:
        members: networks whose answers are averaged.
        hidden_size: of the two hidden layers of each.
        dropout: of the hidden layers in training; half of it on the functionals.
        sampling_rate: of the input, in Hz; 16000, for which the functionals are made.

    Raises:
        ValueError: if a value is out of range; the message names it.
    """

    model_type = "prosody_adv"

    def __init__(
        self, members: int = 16, hidden_size: int = 128, dropout: float = 0.3, sampling_rate: int = 16000, **kwargs: Any
    ):
        if members < 1 or hidden_size < 1:
            raise ValueError(f"members={members}, hidden_size={hidden_size}: both must be at least 1")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}: it must be from 0 to below 1")
        if sampling_rate != 16000:
            raise ValueError(f"sampling_rate={sampling_rate}: the functionals are made for 16000 Hz")
        self.members = members
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.sampling_rate = sampling_rate
        kwargs.setdefault("id2label", {0: "arousal", 1: "dominance", 2: "valence"})
        kwargs.setdefault("label2id", {"arousal": 0, "dominance": 1, "valence": 2})
        kwargs.setdefault("problem_type", "regression")
        super().__init__(**kwargs)
