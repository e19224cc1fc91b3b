"""Ways to quantize one model, side by side: bytes, agreement with float on test speech, time, memory.

The ways of ONNX Runtime also quantize activations, by its own quantizer; ours quantize weights alone.
"""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from rich.progress import track
from transformers import PreTrainedModel

from wav2small.atomic import whole_file
from wav2small.models.audio import audio_files, read_audio
from wav2small.models.errors import Wav2SmallError

from ..exporters import FOLDED_ALONE
from ..exporters.export import calibration_clips, export_onnx, export_straight, silenced
from ..exporters.quantize import adapt_all, correct_bias, eight_bit, float16, four_bit, predict_clips, with_codes
from ..exporters.weights import nearest, weights
from ..metrics import ccc
from ..tables import grid
from .race import Contestant, measure, processor
from .runtimes import load_onnx

RUNS = 30
OPERATORS = ["Conv", "Gemm", "MatMul", "MaxPool"]
PERCENTILE = 99.99


@dataclass(frozen=True)
class Row:
    """One way to store or quantize a model.

    Attributes:
        method: in words.
        bytes: of the file.
        agreement: (3,) CCC with the float model's predictions for test speech: arousal, dominance, valence.
        ratio: time for 5 s of audio on one thread, 1 for the tuned float file.
        memory: peak of a process that runs it, in MB.
    """

    method: str
    bytes: int
    agreement: tuple[float, float, float]
    ratio: float
    memory: float


def report(model: PreTrainedModel, speech: Path, path: Path) -> None:
    """Compare on a folder of recordings, half to calibrate on and half to test on, and write the table.

    Args:
        model: a student.
        speech: the folder.
        path: of the Markdown file.

    Raises:
        Wav2SmallError: if there are fewer than two recordings, or a file cannot be read or written.
    """
    files = audio_files(speech)
    if len(files) < 2:
        raise Wav2SmallError(f"{speech} holds one recording: one to calibrate on and one to test on are needed")
    test_clips = [read_audio(file) for file in files[1::2]]
    with whole_file(path) as temporary:
        rows = compare(model, calibration_clips(files[::2]), test_clips)
        text = (
            f"# Ways to store a {model.config.model_type} as ONNX\n\n"
            f"CCC with the predictions of the tuned float file for {len(test_clips)} recordings of "
            f"{speech.resolve().name}, where the other {len(files) - len(test_clips)} served to calibrate on. "
            f"Time for 5 s of audio on one thread, relative to that file: medians of runs in turns. "
            f"{date.today()}, {processor()}.\n\n"
        )
        temporary.write_text(text + markdown(rows), encoding="utf-8")


def compare(model: PreTrainedModel, calibration: Sequence[np.ndarray], test_clips: Sequence[np.ndarray]) -> list[Row]:
    """Quantize a model in every way and measure each.

    Args:
        model: a student.
        calibration: waveforms (samples,) of real speech, all of one length.
        test_clips: waveforms of other speech, of any length.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        tuned, straight = work / "tuned.onnx", work / "straight.onnx"
        export_onnx(model, tuned)
        files = {"float, tuned": tuned}
        if model.config.model_type != FOLDED_ALONE:
            export_straight(model, straight)
            files["float, as torch writes it"] = straight
        for i, (method, make) in enumerate(track(WAYS.items(), "quantizing", transient=True)):
            files[method] = work / f"{i}.onnx"
            onnx.save(make(onnx.load(tuned), calibration), files[method])
        return measure_files(files, test_clips)


def measure_files(files: dict[str, Path], test_clips: Sequence[np.ndarray]) -> list[Row]:
    """Measure files by their methods; the others are compared with the first."""
    costs = measure([Contestant(method, load_onnx, path) for method, path in files.items()], RUNS)
    results = {
        method: predict_clips(onnx.load(path), test_clips)
        for method, path in track(files.items(), "measuring", transient=True)
    }
    expected, fastest = next(iter(results.values())), next(iter(costs.values())).ms
    rows = []
    for method, path in files.items():
        arousal, dominance, valence = ccc(results[method], expected).tolist()
        cost, size = costs[method], path.stat().st_size
        rows.append(Row(method, size, (arousal, dominance, valence), cost.ms / fastest, cost.peak_mb))
    return rows


def markdown(rows: Iterable[Row]) -> str:
    """A table of the rows."""
    header = ["method", "bytes", "CCC with float: A", "D", "V", "time", "peak memory (MB)"]
    lines = [
        [
            row.method,
            f"{row.bytes:,}",
            *(f"{one:.4f}" for one in row.agreement),
            f"{row.ratio:.2f}",
            f"{row.memory:.0f}",
        ]
        for row in rows
    ]
    return grid(header, lines, numeric=True) + "\n"


def by_onnxruntime(
    model: onnx.ModelProto,
    clips: Sequence[np.ndarray],
    form: QuantFormat | None,
    method: CalibrationMethod = CalibrationMethod.MinMax,
    per_channel: bool = True,
    inner: bool = False,
) -> onnx.ModelProto:
    """Quantize weights and activations, everywhere behind the front end.

    Args:
        model: the float graph.
        clips: to calibrate on.
        form: of static quantization; `None` for dynamic.
        method: of calibration.
        per_channel: scales of weights.
        inner: leave out the first convolution and the classifier.
    """
    for i, node in enumerate(model.graph.node):
        node.name = str(i)
    nodes = [weight.node.name for weight in weights(model)]
    nodes += [node.name for node in model.graph.node if node.op_type == "MaxPool"]
    if inner:
        nodes = [name for name in nodes if name not in (nodes[0], weights(model)[-1].node.name)]
    with tempfile.TemporaryDirectory() as folder, silenced():
        path = Path(folder) / "model_quantized.onnx"
        if form is None:
            quantize_dynamic(model, path, OPERATORS[:-1], nodes_to_quantize=nodes)
        else:
            quantize_static(
                model,
                path,
                Speech(clips),
                form,
                OPERATORS,
                per_channel,
                activation_type=QuantType.QUInt8,
                nodes_to_quantize=nodes,
                calibrate_method=method,
                extra_options={"CalibPercentile": PERCENTILE} if method == CalibrationMethod.Percentile else {},
            )
        return onnx.load(path)


class Speech(CalibrationDataReader):
    """Waveforms (samples,) as ONNX Runtime reads them to calibrate."""

    def __init__(self, clips: Sequence[np.ndarray]):
        self.clips = iter(clips)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next clip, a batch of one; `None` after the last."""
        clip = next(self.clips, None)
        return None if clip is None else {"input_values": clip[None]}


def round_to_nearest(model: onnx.ModelProto, bits: int) -> onnx.ModelProto:
    """Round all weights to the nearest code of so many bits."""
    return with_codes(model, {weight.name: nearest(weight.array, weight.axis, bits) for weight in weights(model)})


def round_adaptively(model: onnx.ModelProto, clips: Sequence[np.ndarray]) -> onnx.ModelProto:
    """Round all weights to 4 bits, adaptively where that is possible."""
    coded = {weight.name: nearest(weight.array, weight.axis, 4) for weight in weights(model)}
    return correct_bias(with_codes(model, coded | adapt_all(model, clips, 4)), clips, predict_clips(model, clips))


QDQ, QOPERATOR = QuantFormat.QDQ, QuantFormat.QOperator
WAYS: dict[str, Callable[[onnx.ModelProto, Sequence[np.ndarray]], onnx.ModelProto]] = {
    "dynamic": lambda model, clips: by_onnxruntime(model, clips, None),
    "static QDQ, a scale a tensor, min-max": lambda model, clips: by_onnxruntime(model, clips, QDQ, per_channel=False),
    "static QDQ, a scale a channel, min-max": lambda model, clips: by_onnxruntime(model, clips, QDQ),
    "the same, percentile 99.99": lambda model, clips: by_onnxruntime(model, clips, QDQ, CalibrationMethod.Percentile),
    "the same, entropy": lambda model, clips: by_onnxruntime(model, clips, QDQ, CalibrationMethod.Entropy),
    "the same, min-max, without first and last layer": lambda model, clips: by_onnxruntime(
        model, clips, QDQ, inner=True
    ),
    "static QOperator, a scale a channel, min-max": lambda model, clips: by_onnxruntime(model, clips, QOPERATOR),
    "weights float16": lambda model, clips: float16(model),
    "weights 8 bit, nearest": lambda model, clips: round_to_nearest(model, 8),
    "weights 8 bit, adaptive rounding: `model_quantized.onnx`": eight_bit,
    "weights 4 bit, nearest": lambda model, clips: round_to_nearest(model, 4),
    "weights 4 bit, adaptive rounding": round_adaptively,
    "weights 4 bit where they hold, adaptive rounding: `model_q4.onnx`": four_bit,
}
