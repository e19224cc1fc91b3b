"""Configuration of the MobileNet students."""

from typing import Any

from transformers import PretrainedConfig

BACKBONES = ("mobilenetv4_conv_small", "mobilenetv4_conv_medium", "mobilenetv3_small_100", "mobilenetv3_large_100")


class MobileNetAdvConfig(PretrainedConfig):
    """Configuration of [`MobileNetAdvForAudioClassification`]; the defaults are MobileNetV4-S on Wav2Small's front end.

    Args:
        backbone: the network, by its name in timm: `"mobilenetv4_conv_small"` (2.5 M parameters),
            `"mobilenetv4_conv_medium"` (8.4 M), `"mobilenetv3_small_100"` (1.5 M) or `"mobilenetv3_large_100"` (4.2 M).
        sampling_rate: of the input, in Hz.
        n_fft: samples in a window of the spectrogram; 144 in `audeering/mobilenetv4-emotion`.
        hop_length: samples from one window to the next; 72 in `audeering/mobilenetv4-emotion`.
        n_mels: mel bands.
        f_min: lower edge of the lowest band, in Hz.
        f_max: upper edge of the highest band, in Hz.

    Raises:
        ValueError: if a value is out of range; the message names it.
    """

    model_type = "mobilenet_adv"

    def __init__(
        self,
        backbone: str = "mobilenetv4_conv_small",
        sampling_rate: int = 16000,
        n_fft: int = 64,
        hop_length: int = 32,
        n_mels: int = 26,
        f_min: float = 0.0,
        f_max: float = 8000.0,
        **kwargs: Any,
    ):
        if backbone not in BACKBONES:
            raise ValueError(f"backbone={backbone!r}: it must be one of {', '.join(BACKBONES)}")
        if not 0 <= f_min < f_max <= sampling_rate / 2:
            raise ValueError(f"f_min={f_min}, f_max={f_max}: need 0 <= f_min < f_max <= {sampling_rate / 2} Hz")
        self.backbone = backbone
        self.sampling_rate = sampling_rate
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.f_min = f_min
        self.f_max = f_max
        kwargs.setdefault("id2label", {0: "arousal", 1: "dominance", 2: "valence"})
        kwargs.setdefault("label2id", {"arousal": 0, "dominance": 1, "valence": 2})
        kwargs.setdefault("problem_type", "regression")
        super().__init__(**kwargs)
