"""The tab Batch: many recordings or a zip in; a table, a CSV file and a scatter plot out."""

import base64
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr
import numpy as np

from wav2small import Predictor, Wav2SmallError
from wav2small.cli import formats
from wav2small.models.adv import LABELS
from wav2small.models.audio import SUFFIXES

from . import pictures
from .analysis import Analysis, analyse
from .limits import AT_ONCE, MAX_BYTES, MAX_FILES, MAX_ZIP_BYTES, MAX_ZIP_DIRECTORY
from .models import Models
from .recording import too_large
from .uploads import uploaded

COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Python cannot unpack the others piece by piece
PIECE = 2**16  # bytes that are unpacked at once
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError, ValueError)
NO_SAMPLES = np.zeros(0, np.float32)
EMPTY = '<p class="empty">Drop recordings or a zip, then press Start.</p>'
Outcome = Analysis | Wav2SmallError
Source = tuple[str, Callable[[], Any]]  # (name, function that opens it)


def sources(paths: list[Path]) -> list[Source]:
    """All recordings among files, those inside a zip included; a zip is read in memory, never unpacked to disk.

    Raises:
        Wav2SmallError: for a broken or too large zip, or too many recordings.
    """
    found: list[Source] = []
    for path in paths:
        if path.suffix.lower() == ".zip":
            found += _members(path)
        else:
            found.append((path.name, partial(Path, path)))
    if len(found) > MAX_FILES:
        raise Wav2SmallError(f"{len(found)} recordings are too many at once: give up to {MAX_FILES}")
    return found


def _members(path: Path) -> list[Source]:
    try:
        with path.open("rb") as file:
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # what ZipFile reads, before it reads all
        if end and end[zipfile._ECD_SIZE] > MAX_ZIP_DIRECTORY:  # type: ignore[attr-defined]
            raise Wav2SmallError(f"{path.name} holds too many files: give up to {MAX_FILES} recordings")
        archive = zipfile.ZipFile(path)
    except Wav2SmallError:
        raise
    except (*BROKEN, NotImplementedError):
        raise Wav2SmallError(f"{path.name} is not a readable zip file: create it again") from None
    with archive:
        members = [info for info in archive.infolist() if _is_audio(info.filename)]
    if not members:
        raise Wav2SmallError(f"{path.name} holds no audio files ({', '.join(sorted(SUFFIXES))})")
    if sum(info.file_size for info in members) > MAX_ZIP_BYTES:
        raise Wav2SmallError(f"{path.name} holds more than {MAX_ZIP_BYTES // 2**20} MB of audio: split it")
    return [(info.filename, partial(_unzip, path, info)) for info in members]


def _is_audio(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and "__MACOSX" not in path.parts


def _unzip(path: Path, info: zipfile.ZipInfo) -> io.BytesIO:
    if info.file_size > MAX_BYTES:
        raise too_large(info.filename)
    if info.compress_type not in COMPRESSIONS:
        raise Wav2SmallError(f"{info.filename} is compressed in a rare way: create the zip with DEFLATE")
    content = io.BytesIO()
    try:
        with zipfile.ZipFile(path) as archive, archive.open(info) as member:
            while piece := member.read(PIECE):  # of no more than the size that it says: it may lie
                content.write(piece)
    except BROKEN as error:
        raise Wav2SmallError(f"{info.filename} cannot be unpacked ({error}): create the zip again") from None
    if not content.tell():
        raise Wav2SmallError(f"{info.filename} is empty (0 bytes)")
    content.seek(0)
    return content


def run(predictor: Predictor, uploads: list[str]) -> Iterator[tuple[int, list[Outcome]]]:
    """Predict all recordings one by one; when it ends or is stopped, the uploads are deleted.

    Yields:
        (number of recordings, outcomes so far), first (number, []).

    Raises:
        Wav2SmallError: as `sources`.
    """
    with ExitStack() as stack:
        recordings = sources([stack.enter_context(uploaded(path)) for path in uploads])
        outcomes: list[Outcome] = []
        yield len(recordings), outcomes
        for name, open_source in recordings:
            try:
                outcomes.append(replace(analyse(predictor, open_source(), name), samples=NO_SAMPLES, windows=[]))
            except Wav2SmallError as error:
                outcomes.append(error)
            yield len(recordings), outcomes


def render_progress(total: int, done: int) -> str:
    """How many recordings are done."""
    return (
        f'<section class="result"><p class="verdict">{done} of {total} recordings</p>'
        f'<progress value="{done}" max="{total}" aria-label="progress">{done} of {total}</progress></section>'
    )


def render(outcomes: list[Outcome], predictor: Predictor) -> str:
    """All predictions: CSV file, scatter plot of those with speech, table, and what could not be read."""
    analyses = [one for one in outcomes if isinstance(one, Analysis)]
    errors = [one for one in outcomes if not isinstance(one, Analysis)]
    parts = []
    if analyses:
        rows = [(one.name, one.whole) for one in analyses]
        points = [(one.name, one.whole) for one in analyses if one.whole.spoken]
        content = base64.b64encode(formats.format_rows(rows, "csv")).decode()
        parts.append(
            f'<p class="verdict"><strong>{len(analyses)} predictions</strong></p>'
            '<div><a class="save" download="predictions.csv" '
            f'href="data:text/csv;base64,{content}">Save as CSV</a></div>'
        )
        if points:
            parts.append(pictures.plane(points, predictor.words))
        table = [
            (
                one.name,
                *(pictures.number(getattr(one.whole, label)) for label in LABELS),
                one.whole.word or "",
                f"{one.seconds:.1f}",
            )
            for one in analyses
        ]
        parts.append(pictures.table(["file", *LABELS, "word", "s"], table, "Predictions"))
    if errors:
        lines = "".join(f"<li>{escape(str(error))}</li>" for error in errors)
        parts.append(f'<div class="message" role="alert">{len(errors)} could not be read:<ul>{lines}</ul></div>')
    return f'<section class="result many" aria-label="Batch">{"".join(parts)}</section>'


def predict_all(models: Models, uploads: list[str] | None, model: str) -> Iterator[tuple[str, None]]:
    """The button Start: progress, then the predictions; the input is emptied."""
    if not uploads:
        yield pictures.message("there are no recordings yet: drop some"), None
        return
    try:
        for total, outcomes in run(models[model], uploads):
            done = total and len(outcomes) == total
            yield render(outcomes, models[model]) if done else render_progress(total, len(outcomes)), None
    except Wav2SmallError as error:
        yield pictures.message(str(error)), None


def tab(models: Models) -> None:
    """Lay out the tab."""
    kinds = [".zip", *sorted(SUFFIXES)]
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            files = gr.File(file_count="multiple", file_types=kinds, label="Recordings, or a zip", type="filepath")
            start = gr.Button("Start", variant="primary")
            stop = gr.Button("Stop", variant="stop")
        with gr.Column(scale=3, min_width=320):
            result = gr.HTML(EMPTY, elem_classes="results")
    running = start.click(
        partial(predict_all, models),
        [files, models.chooser],
        [result, files],
        api_visibility="private",
        show_progress="hidden",
        **AT_ONCE,
    )
    stop.click(lambda: pictures.note("Stopped."), None, result, cancels=[running], api_visibility="private")
