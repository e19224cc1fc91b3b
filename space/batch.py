"""The tab Batch: many files or a zip in; a table, a CSV file and a scatter plot out."""

import base64
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr

import pictures
from answer import Answer, answer
from recording import MAX_BYTES, uploaded
from wav2small import Predictor, Wav2SmallError
from wav2small.cli import formats
from wav2small.models.audio import SUFFIXES

MAX_FILES = 500
MAX_ZIP_BYTES = 500 * 2**20  # of all files in a zip, unpacked
EMPTY = '<p class="empty">Drop recordings or a zip, then press the button.</p>'
Result = Answer | Wav2SmallError
Source = tuple[str, Callable[[], Any]]  # (name, opens it)


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
            found.append((path.name, partial(_itself, path)))
    if len(found) > MAX_FILES:
        raise Wav2SmallError(f"{len(found)} recordings are too many at once: give up to {MAX_FILES}")
    return found


def _itself(path: Path) -> Path:
    return path


def _members(path: Path) -> list[Source]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError):
        raise Wav2SmallError(f"{path.name} is not a zip file that can be read: make it again") from None
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
        raise Wav2SmallError(
            f"{info.filename} is larger than {MAX_BYTES // 2**20} MB: cut it, or save it as OGG or MP3"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read(info)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise Wav2SmallError(f"{info.filename} cannot be unpacked ({error}): make the zip again") from None
    if not content:
        raise Wav2SmallError(f"{info.filename} is empty (0 bytes)")
    return io.BytesIO(content)


def run(predictor: Predictor, uploads: list[str]) -> Iterator[tuple[int, list[Result]]]:
    """Answer all recordings one by one; when it ends or is stopped, the uploads are deleted.

    Yields:
        (recordings in all, results so far), from (n, []) on.

    Raises:
        Wav2SmallError: as `sources`.
    """
    with ExitStack() as stack:
        files = sources([stack.enter_context(uploaded(path)) for path in uploads])
        results: list[Result] = []
        yield len(files), results
        for name, open_source in files:
            try:
                results.append(answer(predictor, open_source(), name))
            except Wav2SmallError as error:
                results.append(error)
            yield len(files), results


def show_progress(total: int, done: int) -> str:
    """How far the batch is."""
    return (
        f'<section class="answer"><p class="verdict">{done} of {total} recordings</p>'
        f'<progress value="{done}" max="{total}" aria-label="progress">{done} of {total}</progress></section>'
    )


def show(results: list[Result], predictor: Predictor) -> str:
    """All answers: CSV file, scatter plot, table, and what could not be read."""
    answers = [one for one in results if isinstance(one, Answer)]
    errors = [one for one in results if not isinstance(one, Answer)]
    parts = []
    if answers:
        rows = [(one.name, one.whole) for one in answers]
        table = base64.b64encode(formats.format_rows(rows, "csv")).decode()
        parts.append(
            f'<p class="verdict"><strong>{len(answers)} answers</strong></p>'
            '<div><a class="save" download="answers.csv" '
            f'href="data:text/csv;base64,{table}">Save as CSV</a></div>{pictures.plane(rows, predictor.words)}'
        )
        cells = [
            (
                one.name,
                *(f"{getattr(one.whole, axis):.2f}" for axis in pictures.AXES),
                one.whole.word if one.heard == "speech" and one.whole.word else one.heard,
                f"{one.seconds:.1f}",
            )
            for one in answers
        ]
        parts.append(pictures.table(["file", *pictures.AXES, "word", "s"], cells, "Answers"))
    if errors:
        lines = "".join(f"<li>{escape(str(error))}</li>" for error in errors)
        parts.append(f'<div class="message" role="alert">{len(errors)} could not be read:<ul>{lines}</ul></div>')
    return f'<section class="answer many" aria-label="Batch">{"".join(parts)}</section>'


def batch(predictor: Predictor, uploads: list[str] | None) -> Iterator[tuple[str, None]]:
    """The button: progress, then the answers; the input is emptied."""
    if not uploads:
        yield pictures.message("there are no files yet: drop some"), None
        return
    try:
        for total, results in run(predictor, uploads):
            done = total and len(results) == total
            yield show(results, predictor) if done else show_progress(total, len(results)), None
    except Wav2SmallError as error:
        yield pictures.message(str(error)), None


def tab(predictor: Predictor) -> None:
    """Lay out the tab."""
    kinds = [".zip", *sorted(SUFFIXES)]
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            files = gr.File(file_count="multiple", file_types=kinds, label="Recordings, or a zip", type="filepath")
            start = gr.Button("Start", variant="primary")
            stop = gr.Button("Stop", variant="stop")
        with gr.Column(scale=3, min_width=320):
            shown = gr.HTML(EMPTY, elem_classes="answers")
    running = start.click(
        partial(batch, predictor), files, [shown, files], api_visibility="private", show_progress="hidden"
    )
    stop.click(lambda: pictures.note("Stopped."), None, shown, cancels=[running], api_visibility="private")
