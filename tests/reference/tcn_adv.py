"""The temporal convolution network, read literally from its description: numpy's FFT and sums over windows in float64.

Shares no code with the package: neither the mel matrix, nor any layer.
"""

import numpy as np
from scipy.special import erf

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
}


def slaney_mel(bins: int, bands: int, rate: int, f_min: float, f_max: float) -> np.ndarray:
    """Triangular bands of unit area on Slaney's scale (linear below 1 kHz, logarithmic above): (bands, bins)."""
    to_mel = lambda hz: hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)  # noqa: E731
    to_hz = lambda mel: mel * 200 / 3 if mel < 15 else 1000 * np.exp((mel - 15) * np.log(6.4) / 27)  # noqa: E731
    edges = [to_hz(mel) for mel in np.linspace(to_mel(f_min), to_mel(f_max), bands + 2)]
    matrix = np.zeros((bands, bins))
    for band, (low, centre, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        hz = np.arange(bins) * rate / 2 / (bins - 1)
        triangle = np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre))
        matrix[band] = np.maximum(triangle, 0) * 2 / (high - low)
    return matrix


def log_mel(waveform: np.ndarray, config) -> np.ndarray:
    """Half the decimal logarithm of the power in each band of each window: (bands, frames)."""
    length = config.window_length
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    mel = slaney_mel(config.n_fft // 2 + 1, config.n_mels, config.sampling_rate, config.f_min, config.f_max)
    frames = []
    for start in range(0, len(waveform) - length + 1, config.hop_length):
        power = np.abs(np.fft.rfft(window * waveform[start : start + length], config.n_fft)) ** 2
        frames.append(0.5 * np.log10(np.maximum(mel @ power, config.power_floor)))
    return np.array(frames).T


def convolution(x: np.ndarray, weight: np.ndarray, padding=(0, 0), stride=1, dilation=1, groups=1) -> np.ndarray:
    """(channels, time) -> (outputs, time), one window after the other."""
    x = np.pad(x, ((0, 0), padding))
    kernel = weight.shape[2]
    columns = []
    for start in range(0, x.shape[1] - (kernel - 1) * dilation, stride):
        window = x[:, start : start + (kernel - 1) * dilation + 1 : dilation].reshape(groups, -1, kernel)
        kernels = weight.reshape(groups, -1, *weight.shape[1:])
        columns.append(np.einsum("gik,goik->go", window, kernels).ravel())
    return np.stack(columns, axis=1)


def convolution_2d(x: np.ndarray, weight: np.ndarray, padding: tuple[int, int], stride: tuple[int, int]) -> np.ndarray:
    """(channels, bands, time) -> (outputs, bands, time), one window after the other; zeros beyond the bands."""
    x = np.pad(x, ((0, 0), (1, 1), padding))
    rows = []
    for band in range(0, x.shape[1] - 2, stride[0]):
        starts = range(0, x.shape[2] - 2, stride[1])
        rows.append([np.einsum("ibt,oibt->o", x[:, band : band + 3, i : i + 3], weight) for i in starts])
    return np.array(rows).transpose(2, 0, 1)


def forward(model, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One clip (samples,) in evaluation: arousal, dominance, valence (3,) and the share of speech (1,).

    Branches are read one after the other: each has its share of the channels.
    """
    config = model.config
    w = {name: value.double().numpy() for name, value in model.state_dict().items() if value.ndim}
    last, bias = w.pop("classifier.weight"), w.pop("classifier.bias")
    x = waveform.astype(np.float64)
    spectrum = log_mel((x - x.mean()) / np.sqrt(x.var() + 1e-7), config)
    pooled, speech = [], []
    for i in range(config.branches):
        own = {name: np.split(value, config.branches)[i] for name, value in w.items()}
        means, deviation, said = branch(spectrum, own, config)
        pooled.append((means, deviation))
        speech.append(said)
    means, deviations = (np.concatenate(each) for each in zip(*pooled, strict=True))
    return last @ np.concatenate([means, deviations]) + bias, np.mean(speech, axis=0)


def branch(spectrum: np.ndarray, w: dict[str, np.ndarray], config) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One network on (bands, frames): what its heads attend to, the deviation over time, the share of speech (1,)."""
    act = ACTIVATIONS[config.activation]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        scale = w[f"{name}.weight"] / np.sqrt(w[f"{name}.running_var"] + 1e-5)
        return (x - w[f"{name}.running_mean"][:, None]) * scale[:, None] + w[f"{name}.bias"][:, None]

    def pointwise(x: np.ndarray, name: str) -> np.ndarray:
        return w[f"{name}.weight"][:, :, 0] @ x + w[f"{name}.bias"][:, None]

    paddings = list(config.paddings)
    x, stride = norm(spectrum, "band_norm"), config.stem_stride
    if config.maps:
        x = x[None]
        for i in range(len(config.maps)):
            x = convolution_2d(x, w[f"maps.{i}.conv.weight"], paddings.pop(0), (2, stride))
            x = np.maximum(norm(x.reshape(len(x), -1), f"maps.{i}.norm").reshape(x.shape), 0)
            stride = 1
        x = x.reshape(-1, x.shape[2])
    stem, *blocks = paddings
    x = convolution(x, w["stem.weight"], stem, stride=stride, groups=config.stem_groups)
    x = act(x + w["stem.bias"][:, None])
    for i, padding in enumerate(blocks):
        y = convolution(x, w[f"blocks.{i}.depthwise.weight"], padding, 1, config.dilations[i], config.width)
        y = norm(y, f"blocks.{i}.norm")
        x = x + pointwise(act(pointwise(y, f"blocks.{i}.expand")), f"blocks.{i}.project")
    x = norm(x, "norm")
    scores = np.exp(w["pooling.attention.weight"][:, :, 0] @ x)
    means = [(x * score).sum(axis=1) / score.sum() for score in scores]
    speech = 1 / (1 + np.exp(-pointwise(x, "speech")))
    return np.concatenate(means), np.sqrt(np.maximum(x.var(axis=1), 1e-5)), speech.mean(axis=1)
