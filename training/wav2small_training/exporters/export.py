"""A model of ours -> ONNX: raw PCM in, arousal, dominance and valence out, any batch and length."""

import io
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from transformers import PreTrainedModel

from wav2small.atomic import whole_file, whole_folder
from wav2small.checkpoint import load_checkpoint
from wav2small.cli.command import require_extra
from wav2small.hub import resolve_checkpoint
from wav2small.inference.predictor import ONNX_FILES
from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.audio import audio_files, read_audio
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import Provenance, code_version, link_model, utc_now, write_provenance

from ..evenly import evenly
from ..progress import tracked
from .exportable import Exportable
from .fold import FOLDED, fold
from .formulas import store_formulas
from .onnx_graph import tidy
from .parity import largest_difference, probe_batches, run_onnx
from .quantize import eight_bit, float16, four_bit

TOLERANCE = 1e-4  # between the predictions of the model and of the file
LOGITS, SPEECH = "logits", "speech"  # the outputs of a file; the second of a tcn_adv alone
CLIPS, CLIP_SECONDS = 48, 3.0  # to calibrate on
FLOAT, HALF, QUANTIZED, FOUR_BIT = (ONNX_FILES[kind] for kind in ("fp32", "fp16", "q8", "q4"))
NOT_COPIED = ("onnx", "recipe.yaml", ".*")  # a recipe may name folders of this machine; the provenance has its hash


def output_names(model_type: str) -> tuple[str, ...]:
    """The outputs of a kind of model."""
    return (LOGITS, SPEECH) if model_type == "tcn_adv" else (LOGITS,)


def export(
    source: str,
    out: Path,
    speech: Path | None = None,
    speech_licence: str | None = None,
    dtype: str | None = None,
) -> PreTrainedModel:
    """Write a checkpoint with its ONNX files: float, 8 bit, and 4 bit for a student or float16 for a teacher.

    The checkpoint's `provenance.json` records this step and the recordings.

    Args:
        source: folder of a checkpoint, or its id on the Hub.
        out: folder to write: a copy of the checkpoint, whole or not at all. Or `source` itself, to add the files to it.
        speech: folder of recordings of speech to calibrate on; without it there is no file of 4 bits.
        speech_licence: SPDX id of the licence of these recordings: the weights of the small files depend on them.
        dtype: the one file to keep, "fp32", "fp16", "q8" or "q4"; default: all that this kind of model has.

    Returns:
        The model.

    Raises:
        Wav2SmallError: if the source is not a checkpoint of ours, a file differs from it, it has no such file, or a
            licence is not known.
    """
    folder = resolve_checkpoint(source, ["*"])
    model = load_checkpoint(folder)
    origin = export_provenance(
        source, speech, speech_licence
    )  # a licence that does not allow it is found before minutes of work
    clips = [] if speech is None else calibration_clips(audio_files(speech))
    kinds = available(model, bool(clips))
    if dtype and dtype not in kinds:
        where = f"{model.config.model_type}{'' if clips else ' without --speech'}"
        raise Wav2SmallError(f"{source}: {where} has the files {', '.join(kinds)}, and no {dtype}")
    if out.exists() and out.resolve() == folder.resolve():
        write_files(model, out, clips, dtype)
        write_provenance(origin, out)
    else:
        with whole_folder(out) as temporary:
            shutil.copytree(folder, temporary, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
            write_files(model, temporary, clips, dtype)
            write_provenance(origin, temporary)
    return model


def known_provenance(source: str) -> Provenance:
    """The provenance of a checkpoint, or a link to one that has none."""
    known = link_model(source, "parent")
    return known.provenance or Provenance(step="export", name=known.id.rpartition("/")[2], parent=known)


def export_provenance(source: str, speech: Path | None, speech_licence: str | None) -> Provenance:
    """The provenance of a checkpoint with ONNX files: that of the checkpoint, and the calibration audio."""
    before = known_provenance(source)
    corpora = [each for each in before.corpora if each.use != "calibration"]  # that was for files now replaced
    if speech:
        with require_extra("training"):  # which reads corpora
            from ..data.provenance import corpus
            from ..recipe import Corpus
        recordings = corpus(Corpus(source=str(speech), licence=speech_licence or ""), "calibration")
        clips = min(CLIPS, recordings.clips or 0)
        corpora.append(replace(recordings, clips=clips, hours=round(clips * CLIP_SECONDS / 3600, 3)))
    return replace(before, corpora=corpora, onnx={"date": utc_now(), "code": code_version()})


def calibration_clips(files: list[Path]) -> list[np.ndarray]:
    """Choose clips evenly from recordings, all of one length, the shorter ones repeated: waveforms (samples,)."""
    chosen = evenly(files, CLIPS)
    return [
        np.resize(read_audio(file), round(CLIP_SECONDS * SAMPLING_RATE)) for file in tracked(chosen, "reading speech")
    ]


def available(model: PreTrainedModel, calibrated: bool) -> list[str]:
    """The kinds of ONNX files of a model; 4 bits are for students, and need speech."""
    if model.config.model_type in FOLDED:
        return ["fp32", "q8", "q4"] if calibrated else ["fp32", "q8"]
    return ["fp32", "fp16", "q8"]


def write_files(model: PreTrainedModel, folder: Path, clips: list[np.ndarray], dtype: str | None = None) -> None:
    """Write the ONNX files of a model into a checkpoint; a teacher's layers are too large for adaptive rounding."""
    speech = clips if model.config.model_type in FOLDED else []
    makers: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]]
    makers = {"fp16": float16, "q8": partial(eight_bit, clips=speech), "q4": partial(four_bit, clips=speech)}
    kinds = [dtype] if dtype else available(model, bool(clips))
    path = folder / FLOAT
    path.parent.mkdir(exist_ok=True)
    export_onnx(model, path)
    graph = onnx.load(path)
    for kind, name in ONNX_FILES.items():
        if kind not in kinds:
            (folder / name).unlink(missing_ok=True)  # it may hold other weights
        elif kind in makers:
            with whole_file(folder / name) as temporary:
                onnx.save(makers[kind](graph), temporary)


def export_onnx(model: PreTrainedModel, path: Path) -> None:
    """Write `input_values` float32 [batch, samples] -> `logits` float32 [batch, 3], and check it against the model.

    A student is folded first. A temporal convolution network has a second output, `speech` float32 [batch, 1].

    Args:
        model: a student or a teacher.
        path: of the ONNX file; its folder must exist.

    Raises:
        Wav2SmallError: if the file's predictions differ from the model's by more than 1e-4 at any length or batch, or
            the model's front end is not the one that its config describes.
    """
    network = fold(model) if model.config.model_type in FOLDED else model
    graph = tidy(write_raw(model, network))
    store_formulas(graph, model.config)
    save_checked(tidy(graph), path, model)


def export_straight(model: PreTrainedModel, path: Path) -> None:
    """Write the graph as torch writes it, neither folded nor tidied, to compare the other with; as [`export_onnx`]."""
    save_checked(write_raw(model, model), path, model)


def write_raw(model: PreTrainedModel, network: nn.Module) -> onnx.ModelProto:
    """The raw graph of a network that predicts what a model predicts, by optimum where it is installed."""
    try:
        from .by_optimum import raw_graph
    except ImportError:  # not there, or not for this transformers
        from .by_transformers import raw_graph
    with silenced():
        return raw_graph(Exportable(model.config, network, output_names(model.config.model_type)).eval())


def save_checked(graph: onnx.ModelProto, path: Path, model: PreTrainedModel) -> None:
    """Save a graph if it predicts what the model predicts."""
    with whole_file(path) as temporary:
        onnx.save(graph, temporary)
        check_parity(temporary, model)


def check_parity(path: Path, model: PreTrainedModel) -> None:
    """Compare a file with its model at lengths and batches other than the exported one."""
    batches = probe_batches()
    with torch.inference_mode():
        outputs = [model(torch.from_numpy(batch)) for batch in batches]
    for name in output_names(model.config.model_type):
        difference = largest_difference(run_onnx(path, batches, name), [each[name].numpy() for each in outputs])
        if not difference <= TOLERANCE:
            raise Wav2SmallError(f"{name} of the ONNX file differs from the model's by {difference:.1e}: do not use it")


@contextmanager
def silenced() -> Iterator[None]:
    """Suppress the remarks of the exporters."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
