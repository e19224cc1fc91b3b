"""Configuration of Wav2Small."""

from typing import Any

from transformers import PretrainedConfig

POOLINGS = ("token", "gram")


class Wav2SmallConfig(PretrainedConfig):
    """Configuration of [`Wav2SmallForAudioClassification`]; the defaults are the paper's network (72 K values).

    Args:
        sampling_rate: of the input, in Hz.
        n_fft: samples in a window of the spectrogram.
        hop_length: samples from one window to the next.
        n_mels: mel bands; an even number, since the network halves them.
        f_min: lower edge of the lowest band, in Hz.
        f_max: upper edge of the highest band, in Hz.
        channels: of each of the seven convolutions.
        pooling: how the feature map becomes one vector. `"token"`: the paper's, each time step one token of all its
            channels and bands, weighted by a softmax over time. `"gram"`: as in `audeering/wav2small`, 1x1
            convolutions instead of linear layers, then the pooled map beside its Gram matrix.

    Raises:
        ValueError: if a value is out of range; the message names it.
    """

    model_type = "wav2small"

    def __init__(
        self,
        sampling_rate: int = 16000,
        n_fft: int = 64,
        hop_length: int = 32,
        n_mels: int = 26,
        f_min: float = 0.0,
        f_max: float = 8000.0,
        channels: int = 13,
        pooling: str = "token",
        **kwargs: Any,
    ):
        if pooling not in POOLINGS:
            raise ValueError(f"pooling={pooling!r}: it must be one of {', '.join(POOLINGS)}")
        if n_mels % 2:
            raise ValueError(f"n_mels={n_mels}: it must be even, the network halves the bands")
        if not 0 <= f_min < f_max <= sampling_rate / 2:
            raise ValueError(f"f_min={f_min}, f_max={f_max}: need 0 <= f_min < f_max <= {sampling_rate / 2} Hz")
        self.sampling_rate = sampling_rate
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.f_min = f_min
        self.f_max = f_max
        self.channels = channels
        self.pooling = pooling
        kwargs.setdefault("id2label", {0: "arousal", 1: "dominance", 2: "valence"})
        kwargs.setdefault("label2id", {"arousal": 0, "dominance": 1, "valence": 2})
        kwargs.setdefault("problem_type", "regression")
        super().__init__(**kwargs)
