"""A model of ours -> ONNX, by optimum's exporter: raw PCM in, arousal, dominance and valence out, any batch and length.

Importing this file makes optimum know our kinds of models.
"""

import io
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import wraps
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from optimum.exporters.onnx import OnnxConfig
from optimum.exporters.onnx import export as optimum_export
from optimum.exporters.onnx.model_patcher import ModelPatcher
from optimum.exporters.tasks import TasksManager
from optimum.utils import DummyAudioInputGenerator, NormalizedConfig
from safetensors import SafetensorError
from transformers import AutoModelForAudioClassification, PreTrainedModel

from wav2small.atomic import whole_file, whole_folder
from wav2small.hub import resolve_checkpoint
from wav2small.models.audio import audio_files, read_audio
from wav2small.models.auto import CLASSES
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import Provenance, code_version, link_model, utc_now, write_provenance

from ..data import provenance as lineage
from ..recipe import Corpus
from . import TORCH_ALONE
from .fold import FOLDED, fold
from .formulas import store_formulas
from .onnx_graph import tidy
from .quantize import eight_bit, four_bit, half

EXPORTED = tuple(kind for kind in CLASSES if kind != TORCH_ALONE)
OPSET = 17  # of every file: ONNX Runtime 1.20 and later read it, and so does onnxruntime-web
TOLERANCE = 1e-4  # between the answers of the model and the file
TASK = "audio-classification"
RATE = 16000
CLIPS, CLIP_SECONDS = 48, 3.0  # to calibrate on
FLOAT, HALF, QUANTIZED, FOUR_BIT = (  # the names that transformers.js looks for
    f"onnx/model{suffix}.onnx" for suffix in ("", "_fp16", "_quantized", "_q4")
)


class StraightOnnxConfig(OnnxConfig):
    """The graph as torch writes it: what the tuned one is compared with."""

    DEFAULT_ONNX_OPSET = OPSET
    ATOL_FOR_VALIDATION = TOLERANCE
    NORMALIZED_CONFIG_CLASS = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (DummyAudioInputGenerator,)

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """`input_values`: float32 [batch, samples], PCM in -1..1."""
        return {"input_values": {0: "batch", 1: "samples"}}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        """`logits`: float32 [batch, 3], arousal, dominance, valence."""
        return {"logits": {0: "batch"}}


class FoldingPatcher(ModelPatcher):
    """While optimum exports a student, its forward pass is that of its folded form."""

    def __init__(self, config: OnnxConfig, model: PreTrainedModel, model_kwargs: dict | None = None):
        super().__init__(config, model, model_kwargs)
        if model.config.model_type in FOLDED:
            folded = fold(model)

            @wraps(self.orig_forward)  # optimum reads the arguments of a model from its signature
            def forward(input_values: torch.Tensor, *_: None) -> dict[str, torch.Tensor]:
                return {"logits": folded(input_values)}

            self.patched_forward = forward


class AdvOnnxConfig(StraightOnnxConfig):
    """The graph of the folded model, tidied: the file to publish."""

    _MODEL_PATCHER = FoldingPatcher

    def fix_dynamic_axes(self, model_path: Path, *args, **kwargs) -> None:
        """Finish the file that was just written."""
        super().fix_dynamic_axes(model_path, *args, **kwargs)
        model = onnx.load(model_path)
        if self._config.model_type in FOLDED:
            store_formulas(model, self._config)
        onnx.save(tidy(model), model_path)


for kind in EXPORTED:
    TasksManager.create_register("onnx")(kind, TASK)(AdvOnnxConfig)


def export(source: str, out: Path, speech: Path | None = None, speech_licence: str | None = None) -> PreTrainedModel:
    """Write a checkpoint with its ONNX files: float, 8 bit, and 4 bit for a student or float16 for a teacher.

    The checkpoint's `provenance.json` tells of this step and of the recordings.

    Args:
        source: folder of a checkpoint, or its id on the Hub.
        out: folder to write: a copy of the checkpoint, whole or not at all. Or `source` itself, to add the files to it.
        speech: folder of recordings to calibrate on: what is in them matters little, but it must be speech. Without it
            there is no file of 4 bits.
        speech_licence: of these recordings, as an SPDX id: the weights of the small files depend on them.

    Returns:
        The model.

    Raises:
        Wav2SmallError: if the source is no checkpoint of ours, a file differs from it, or a licence is not known.
    """
    folder = resolve_checkpoint(source, ["*"])
    model = load(folder)
    origin = provenance(source, speech, speech_licence)  # before minutes of work
    clips = [] if speech is None else calibration_clips(audio_files(speech))
    if out.exists() and out.resolve() == folder.resolve():
        write_files(model, out, clips)
        write_provenance(origin, out)
    else:
        with whole_folder(out) as temporary:
            shutil.copytree(folder, temporary, dirs_exist_ok=True, ignore=shutil.ignore_patterns("onnx", ".*"))
            write_files(model, temporary, clips)
            write_provenance(origin, temporary)
    return model


def provenance(source: str, speech: Path | None, speech_licence: str | None) -> Provenance:
    """What a checkpoint with its ONNX files is made from: what it was made from before, and the calibration audio."""
    known = link_model(source, "parent")
    before = known.provenance or Provenance(step="export", name=known.id.rpartition("/")[2], parent=known)
    heard = [each for each in before.corpora if each.use != "calibration"]  # of files that are replaced
    if speech:
        recordings = lineage.corpus(Corpus(source=str(speech), licence=speech_licence or ""), "calibration")
        clips = min(CLIPS, recordings.clips or 0)
        heard.append(replace(recordings, clips=clips, hours=round(clips * CLIP_SECONDS / 3600, 3)))
    return replace(before, corpora=heard, onnx={"date": utc_now(), "code": code_version()})


def load(folder: Path) -> PreTrainedModel:
    """The model of a checkpoint."""
    try:
        model, info = AutoModelForAudioClassification.from_pretrained(folder, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise Wav2SmallError(f"{folder} is not a checkpoint that loads ({reason})") from None
    if model.config.model_type not in CLASSES:
        raise Wav2SmallError(f"{folder} holds a {model.config.model_type}, not one of {', '.join(CLASSES)}")
    if model.config.model_type not in EXPORTED:
        raise Wav2SmallError(
            f"{folder} holds a {model.config.model_type}, of which there is no ONNX file: distil a student from it, "
            "and export that"
        )
    if missing := sorted(info["missing_keys"]):
        raise Wav2SmallError(f"{folder} lacks the weights {missing[0]} ({len(missing)} in all)")
    return model.eval()


def calibration_clips(files: list[Path]) -> list[np.ndarray]:
    """Some clips of recordings, of one length, which they fill by repetition: waveforms (samples,)."""
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, min(CLIPS, len(files))).round().astype(int)]
    return [np.resize(read_audio(file), round(CLIP_SECONDS * RATE)) for file in chosen]


def write_files(model: PreTrainedModel, folder: Path, clips: list[np.ndarray]) -> None:
    """Write the ONNX files of a model into a checkpoint; a teacher's layers are too large for adaptive rounding."""
    (folder / FLOAT).parent.mkdir(exist_ok=True)
    export_onnx(model, folder / FLOAT)
    graph = onnx.load(folder / FLOAT)
    if model.config.model_type in FOLDED:
        small = {QUANTIZED: eight_bit(graph, clips)} | ({FOUR_BIT: four_bit(graph, clips)} if clips else {})
    else:
        small = {QUANTIZED: eight_bit(graph), HALF: half(graph)}
    for name in (QUANTIZED, FOUR_BIT, HALF):
        (folder / name).unlink(missing_ok=True)  # it may be of other weights
    for name, each in small.items():
        with whole_file(folder / name) as temporary:
            onnx.save(each, temporary)


def export_onnx(model: PreTrainedModel, path: Path, config: type[OnnxConfig] = AdvOnnxConfig) -> None:
    """Write `input_values` float32 [batch, samples] -> `logits` float32 [batch, 3], and check it against the model.

    Args:
        model: Wav2Small, a MobileNet or a teacher.
        path: of the ONNX file; its folder must exist.
        config: how; the tuned graph, unless it is [`StraightOnnxConfig`].

    Raises:
        Wav2SmallError: if the answers of the file are further from the model's than 1e-4 at any length or batch.
    """
    with whole_file(path) as temporary, quiet():
        optimum_export(model, config(model.config, TASK), temporary)
        check(temporary, model)


def check(path: Path, model: PreTrainedModel) -> None:
    """Compare a file with its model at lengths and batches other than the exported one."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    for batch, seconds in ((1, 0.1), (3, 1.2345), (1, 5)):
        waveform = (0.1 * random.standard_normal((batch, round(seconds * 16000)))).astype(np.float32)
        with torch.inference_mode():
            expected = model(torch.from_numpy(waveform)).logits.numpy()
        difference = np.abs(session.run(None, {"input_values": waveform})[0] - expected).max()
        if not difference <= TOLERANCE * max(1, np.abs(expected).max()):
            raise Wav2SmallError(
                f"the ONNX file answers differently from the model, by {difference:.1e}: do not use it"
            )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the remarks of the tracer, of optimum and of ONNX Runtime's calibration to themselves."""
    logger = logging.getLogger("optimum")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
