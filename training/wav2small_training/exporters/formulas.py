"""The constants of the front end as ONNX operators, which a runtime evaluates once, when it loads the file.

Measured with the bundled checkpoint: 274.5, 74.3 and 41.1 KB (float, 8 and 4 bits) with them, 297.0, 79.3 and 46.3 KB
with stored constants. A front end with a window of 25 ms needs them more: its constants would be larger than the model.
"""

import math
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from transformers import PretrainedConfig

from wav2small.models import whisper_encoder
from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError
from wav2small.models.log_mel import LogMel
from wav2small.models.modeling_tcn_adv import fft_log_mel

from .fold import FoldedLogMel
from .fold_tcn import FoldedFftLogMel
from .onnx_graph import Operators, constants

TOLERANCE = 1e-5  # between a constant of a checkpoint and the formula, as absolute value


@dataclass(frozen=True)
class Bands:
    """Which mel bands of which spectrum; see the configurations of the students."""

    n_fft: int
    n_mels: int
    f_min: float = 0.0
    f_max: float = SAMPLING_RATE / 2


def store_formulas(model: onnx.ModelProto, config: PretrainedConfig) -> None:
    """Replace the DFT and the mel matrix of a folded student, or of a teacher's Whisper encoders, by formulas.

    Args:
        model: the graph, in which no two constants are equal; it is changed.
        config: of the student or the teacher.

    Raises:
        Wav2SmallError: if the graph does not hold the constants that the config describes.
    """
    if config.model_type == "adv_teacher":
        store_whisper_formulas(model, config)
        return
    bands = Bands(config.n_fft, config.n_mels, config.f_min, config.f_max)
    if config.model_type == "tcn_adv":
        fft = FoldedFftLogMel(fft_log_mel(config))
        names = [find_constant(model, constant.numpy()) for constant in (fft.cosines, fft.sines, fft.mel)]
        half_dft(Operators(model), config, fft.first_bin, len(fft.cosines), *names[:2])
        mel_name, first_bin, bins, copies = names[2], fft.first_bin, len(fft.cosines), 1
    else:
        frontend = FoldedLogMel(
            LogMel(config.sampling_rate, config.n_fft, config.hop_length, config.n_mels, config.f_min, config.f_max)
        )
        first_bin, bins, copies = 0, config.n_fft // 2 + 1, 2
        dft(Operators(model), config.n_fft, bins, output=find_constant(model, frontend.dft.numpy()))
        mel_name = find_constant(model, frontend.mel.numpy())
    # float64: a rounding error at the edge of a band would leak power into it, which the logarithm shows
    mel(Operators(model, np.float64), bands, first_bin, bins, copies, output=mel_name)


def store_whisper_formulas(model: onnx.ModelProto, config: PretrainedConfig) -> None:
    """Replace the DFT and the mel matrices of the Whisper encoders of a teacher, if it has any."""
    encoders = [member["encoder"] for member in config.members if member["encoder"]["model_type"] == "whisper"]
    bins = whisper_encoder.WINDOW // 2 + 1
    if encoders:
        dft(Operators(model), whisper_encoder.WINDOW, bins, output=find_constant(model, whisper_encoder.dft()))
    for n_mels in sorted({encoder["num_mel_bins"] for encoder in encoders}):
        name = find_constant(model, whisper_encoder.mel_bands(n_mels))
        mel(Operators(model, np.float64), Bands(whisper_encoder.WINDOW, n_mels), 0, bins, 1, output=name)


def find_constant(model: onnx.ModelProto, expected: np.ndarray) -> str:
    """The name of the constant that equals an array, within the tolerance."""
    for name, tensor in constants(model).items():
        same_kind = tensor.data_type == TensorProto.FLOAT and tuple(tensor.dims) == expected.shape
        if same_kind and np.allclose(numpy_helper.to_array(tensor), expected, rtol=0, atol=TOLERANCE):
            return name
    raise Wav2SmallError("the front end of this checkpoint is not the one that its config describes")


def dft(operator: Operators, n_fft: int, bins: int, output: str) -> None:
    """Cosines, then sines, under a periodic Hann window: (2 * bins, 1, n_fft)."""
    time = operator("Range", 0, n_fft, 1)
    turns = operator("Mul", operator("Unsqueeze", operator("Range", 0, bins, 1), np.array([1])), time)
    angle = operator("Mul", operator("Mod", turns, n_fft, fmod=1), 2 * math.pi / n_fft)
    parts = operator("Concat", operator("Cos", angle), operator("Sin", angle), axis=0)
    hann = operator("Sub", 0.5, operator("Mul", operator("Cos", operator("Mul", time, 2 * math.pi / n_fft)), 0.5))
    operator("Unsqueeze", operator("Mul", parts, hann), np.array([1]), output=output)
    operator.insert()


def half_dft(
    operator: Operators, config: PretrainedConfig, first_bin: int, bins: int, cosines: str, sines: str
) -> None:
    """Cosines and sines from the middle of a periodic Hann window on: (bins, window_length / 2) each."""
    half = config.window_length // 2
    time = operator("Range", 0, half, 1)
    bin_ = operator("Unsqueeze", operator("Range", first_bin, first_bin + bins, 1), np.array([1]))
    turns = operator("Mod", operator("Mul", bin_, time), config.n_fft, fmod=1)
    angle = operator("Mul", turns, 2 * math.pi / config.n_fft)
    hann = operator("Add", 0.5, operator("Mul", operator("Cos", operator("Mul", time, math.pi / half)), 0.5))
    middle = operator("Relu", operator("Sub", 1, time))  # 1 at time 0, which is added to itself, and 0 elsewhere
    halved = operator("Sub", hann, operator("Mul", middle, 0.5))
    operator("Mul", operator("Cos", angle), halved, output=cosines)
    operator("Mul", operator("Sin", angle), hann, output=sines)
    operator.insert()


def mel(operator: Operators, bands: Bands, first_bin: int, bins: int, copies: int, output: str) -> None:
    """Triangles of area 1 between neighbours on Slaney's mel scale, side by side: (bands, copies * bins)."""
    count, low, high = bands.n_mels, slaney(bands.f_min), slaney(bands.f_max)
    steps = operator("Mul", operator("Range", 0, count + 2, 1), (high - low) / (count + 1))
    mels = operator("Unsqueeze", operator("Add", steps, low), np.array([1]))
    below, above = operator("Min", mels, 15), operator("Max", operator("Sub", mels, 15), 0)
    growth = operator("Exp", operator("Mul", above, math.log(6.4) / 27))
    hertz = operator("Mul", operator("Mul", below, 200 / 3), growth)  # (bands + 2, 1)
    left, centre, right = (
        operator("Slice", hertz, np.array([i]), np.array([i + count]), np.array([0])) for i in range(3)
    )
    frequency = operator("Mul", operator("Range", first_bin, first_bin + bins, 1), SAMPLING_RATE / bands.n_fft)
    rise = operator("Div", operator("Sub", frequency, left), operator("Sub", centre, left))
    fall = operator("Div", operator("Sub", right, frequency), operator("Sub", right, centre))
    triangle = operator("Max", operator("Min", rise, fall), 0)  # (bands, bins)
    matrix = operator("Mul", triangle, operator("Div", 2, operator("Sub", right, left)))
    operator("Cast", operator("Concat", *[matrix] * copies, axis=1), to=TensorProto.FLOAT, output=output)
    operator.insert()


def slaney(hertz: float) -> float:
    """Hz -> mel on Slaney's scale: linear up to 1 kHz, logarithmic above (Auditory Toolbox, 1998)."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)
