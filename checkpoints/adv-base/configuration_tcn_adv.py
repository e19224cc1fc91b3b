"""Configuration of the temporal convolution network."""

from typing import Any

from transformers import PretrainedConfig

ACTIVATIONS = ("gelu", "hardswish", "relu")


class TcnAdvConfig(PretrainedConfig):
    """Configuration of [`TcnAdvForAudioClassification`]; the defaults are the tiny network (80 K values).

    Args:
        sampling_rate: of the input, in Hz.
        n_fft: points of the FFT; an even number.
        window_length: samples in a window of the spectrogram; an even number, at most `n_fft`.
        hop_length: samples from one window to the next.
        n_mels: mel bands.
        f_min: lower edge of the lowest band, in Hz.
        f_max: upper edge of the highest band, in Hz.
        power_floor: of the logarithm, for a clip of unit variance.
        maps: channels of convolutions over bands and frames, 3 x 3, before all others; each halves the bands. To them a
            pattern is the same wherever in the spectrum it is. `[]`: none.
        width: channels of the network.
        expansion: channels inside a block, as a multiple of `width`.
        stem_kernel: frames under the first convolution over time alone; after `maps`, steps.
        stem_stride: frames from one step of the network to the next.
        stem_groups: of that convolution; must divide its channels, which are `n_mels` without `maps`, and `width`.
        kernel_sizes: steps under the depthwise convolution of each block.
        dilations: of these convolutions, one for each block.
        heads: of the attentive pooling.
        branches: networks of this shape side by side, on the same log-mel frames: the mean of their answers is the
            answer. `wav2small average` makes them of networks that were trained apart.
        activation: `"gelu"`, `"hardswish"` or `"relu"`.
        dropout: of the pooled vector, in training.
        mask_bands: in training, up to so many neighbouring bands of a clip are masked (SpecAugment, arXiv 1904.08779).
        mask_seconds: in training, up to so many seconds of a clip are masked.
        max_look_ahead: how far the network may hear beyond a moment, in s. Convolutions are padded alike on both
            sides, from the first on, until this is used up; the others hear more of the past instead.

    Raises:
        ValueError: if a value is out of range; the message names it.
    """

    model_type = "tcn_adv"

    def __init__(
        self,
        sampling_rate: int = 16000,
        n_fft: int = 512,
        window_length: int = 400,
        hop_length: int = 160,
        n_mels: int = 64,
        f_min: float = 20.0,
        f_max: float = 8000.0,
        power_floor: float = 1e-6,
        maps: tuple[int, ...] | list[int] = (),
        width: int = 64,
        expansion: int = 2,
        stem_kernel: int = 5,
        stem_stride: int = 2,
        stem_groups: int = 2,
        kernel_sizes: tuple[int, ...] | list[int] = (5, 5, 5, 5),
        dilations: tuple[int, ...] | list[int] = (1, 1, 2, 4),
        heads: int = 4,
        branches: int = 1,
        activation: str = "gelu",
        dropout: float = 0.0,
        mask_bands: int = 0,
        mask_seconds: float = 0.0,
        max_look_ahead: float = 0.4,
        **kwargs: Any,
    ):
        self.sampling_rate = sampling_rate
        self.n_fft = n_fft
        self.window_length = window_length
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.f_min = f_min
        self.f_max = f_max
        self.power_floor = power_floor
        self.maps = list(maps)
        self.width = width
        self.expansion = expansion
        self.stem_kernel = stem_kernel
        self.stem_stride = stem_stride
        self.stem_groups = stem_groups
        self.kernel_sizes = list(kernel_sizes)
        self.dilations = list(dilations)
        self.heads = heads
        self.branches = branches
        self.activation = activation
        self.dropout = dropout
        self.mask_bands = mask_bands
        self.mask_seconds = mask_seconds
        self.max_look_ahead = max_look_ahead
        self.check_values()
        kwargs.setdefault("id2label", {0: "arousal", 1: "dominance", 2: "valence"})
        kwargs.setdefault("label2id", {"arousal": 0, "dominance": 1, "valence": 2})
        kwargs.setdefault("problem_type", "regression")
        super().__init__(**kwargs)

    def check_values(self) -> None:
        """Refuse what no network can be built from."""
        counts = ("n_mels", "width", "expansion", "stem_kernel", "stem_stride", "stem_groups", "heads", "branches")
        for name in (*counts, "hop_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: it must be at least 1")
        if min(self.maps, default=1) < 1:
            raise ValueError(f"maps={self.maps}: it must hold numbers of at least 1, one for a convolution")
        for name in ("kernel_sizes", "dilations"):
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: it must hold numbers of at least 1, one for a block")
        if len(self.kernel_sizes) != len(self.dilations):
            raise ValueError(f"kernel_sizes={self.kernel_sizes}, dilations={self.dilations}: one each for a block")
        for name in ("n_fft", "window_length"):
            if getattr(self, name) < 2 or getattr(self, name) % 2:
                raise ValueError(f"{name}={getattr(self, name)}: it must be an even number")
        if self.window_length > self.n_fft:
            raise ValueError(f"window_length={self.window_length}: it must be at most n_fft={self.n_fft}")
        if not 0 <= self.f_min < self.f_max <= self.sampling_rate / 2:
            raise ValueError(
                f"f_min={self.f_min}, f_max={self.f_max}: need 0 <= f_min < f_max <= {self.sampling_rate / 2} Hz"
            )
        if not self.power_floor > 0:
            raise ValueError(f"power_floor={self.power_floor}: it must be above 0")
        if self.stem_channels % self.stem_groups or self.width % self.stem_groups:
            inputs = f"maps={self.maps} of n_mels={self.n_mels}" if self.maps else f"n_mels={self.n_mels}"
            raise ValueError(f"stem_groups={self.stem_groups}: it must divide {inputs}, width={self.width}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation={self.activation!r}: it must be one of {', '.join(ACTIVATIONS)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: it must be from 0 to below 1")
        for name in ("mask_bands", "mask_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: it must be at least 0")
        if self.max_look_ahead * self.sampling_rate < self.window_length:
            window = self.window_length / self.sampling_rate
            raise ValueError(f"max_look_ahead={self.max_look_ahead}: it must be at least one window, {window} s")

    @property
    def map_shapes(self) -> list[tuple[int, int]]:
        """Channels and bands before each convolution over bands and time, and after the last."""
        shapes = [(1, self.n_mels)]
        for channels in self.maps:
            shapes.append((channels, -(-shapes[-1][1] // 2)))
        return shapes

    @property
    def stem_channels(self) -> int:
        """Channels into the first convolution over time alone: those of the last map times its bands."""
        channels, bands = self.map_shapes[-1]
        return channels * bands

    @property
    def paddings(self) -> list[tuple[int, int]]:
        """Zeros before and after the input of each convolution: the first's in frames, the others' in steps."""
        budget = int((self.max_look_ahead * self.sampling_rate - self.window_length) / self.hop_length)  # in frames
        kernels = [3] * len(self.maps) + [self.stem_kernel]
        totals = [kernel - 1 for kernel in kernels]
        totals += [(kernel - 1) * dilation for kernel, dilation in zip(self.kernel_sizes, self.dilations, strict=True)]
        paddings = []
        for i, total in enumerate(totals):
            frames = self.stem_stride if i else 1
            after = min(total // 2, budget // frames)
            budget -= after * frames
            paddings.append((total - after, after))
        return paddings

    @property
    def look_ahead(self) -> float:
        """Seconds of audio that a step hears from the start of its own window on."""
        return (self._frames(side=1) * self.hop_length + self.window_length) / self.sampling_rate

    @property
    def receptive_field(self) -> float:
        """Seconds of audio that a step hears in all."""
        frames = self._frames(side=0) + self._frames(side=1)
        return (frames * self.hop_length + self.window_length) / self.sampling_rate

    def _frames(self, side: int) -> int:
        """Frames that a step hears before (0) or after (1) its own."""
        first, *others = (padding[side] for padding in self.paddings)
        return first + self.stem_stride * sum(others)
