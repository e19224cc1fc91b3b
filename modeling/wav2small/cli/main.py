"""The command `wav2small`: arguments in, rows or one-line errors out; the work is done elsewhere."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..models.errors import Wav2SmallError
from .command import print_error, require_extra, run_command

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tiny models that hear how something is said: arousal, dominance and valence from speech.",
)
for plugin in entry_points(group="wav2small.commands"):  # such as those of the package for makers
    app.add_typer(plugin.load())


def main() -> None:
    """Run the command line."""
    run_command(app)


@app.command()
def predict(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders (searched), or - for stdin.")],
    model: Annotated[str | None, typer.Option(help="Checkpoint folder or Hub id; default: the bundled one.")] = None,
    dtype: Annotated[
        Literal["fp32", "fp16", "q8", "q4"], typer.Option(help="Which ONNX file: float, 8 bit, 4 bit.")
    ] = "fp32",
    format: Annotated[
        Literal["table", "json", "csv", "parquet"] | None, typer.Option(help="Default: as --output ends, else a table.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default: stdout.")] = None,
    timeline: Annotated[bool, typer.Option("--timeline", help="One row a window, for audio of any length.")] = False,
    window: Annotated[float, typer.Option(help="Length of a window of the timeline, in s.")] = 5.0,
    hop: Annotated[float, typer.Option(help="From window to window of the timeline, in s.")] = 1.0,
    plot: Annotated[Path | None, typer.Option(help="Picture to write: .png, .svg or .pdf.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Files at once.")] = os.cpu_count() or 1,
) -> None:
    """Arousal, dominance and valence of recordings."""
    from ..inference.predictor import load
    from . import formats

    kind = format or (formats.guess_format(output) if output else "table")
    if kind == "parquet" and output is None:
        raise Wav2SmallError("Parquet is not for a terminal: name a file with --output")
    files = expand_paths(paths)
    predictor = load(model, dtype=dtype)

    def answer(file: str) -> Any:
        try:
            source = sys.stdin.buffer.read() if file == "-" else file
            return predictor.timeline(source, window, hop) if timeline else [predictor(source)]
        except Wav2SmallError as error:
            return Wav2SmallError(str(error).replace("<bytes>", "standard input"))

    rows: list[formats.Row] = []
    errors: list[Wav2SmallError] = []
    for file, result in zip(files, map_files(answer, files, threads), strict=True):
        if isinstance(result, Wav2SmallError):
            errors.append(result)
        else:
            rows += [(file, prediction) for prediction in result]
    if rows:
        write_rows(rows, kind, output)
    if rows and plot:
        from .plot import plot as draw

        draw(rows, plot, predictor.words)
    for error in errors:
        print_error(str(error))
    if errors:
        if len(files) > 1:
            print_error(f"{len(errors)} of {len(files)} files could not be read")
        raise typer.Exit(1)


def expand_paths(paths: list[str]) -> list[str]:
    """Turn arguments into files: a folder stands for the audio files below it, sorted."""
    from ..models.audio import audio_files

    files: list[str] = []
    for path in paths:
        files += map(str, audio_files(path)) if path != "-" and Path(path).is_dir() else [path]
    return files


def map_files(answer, files: list[str], threads: int) -> Iterator[Any]:
    """Answer files on some threads, in order, with a progress bar where there are many."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    pool = ThreadPoolExecutor(threads)
    try:
        yield from track(
            pool.map(answer, files),
            "predicting",
            total=len(files),
            console=console,
            transient=True,
            disable=len(files) < 10 or not console.is_terminal,
        )
    finally:
        pool.shutdown(cancel_futures=True)


def write_rows(rows: list, kind: Any, output: Path | None) -> None:
    """Write rows to a file, whole or not at all, or to stdout."""
    from ..atomic import whole_file
    from . import formats

    if output:
        with whole_file(output) as temporary:
            temporary.write_bytes(formats.format_rows(rows, kind))
    elif kind == "table":
        from rich.console import Console

        Console().print(formats.rows_table(rows))
    else:
        sys.stdout.buffer.write(formats.format_rows(rows, kind))
        sys.stdout.buffer.flush()


@app.command()
def demo(
    model: Annotated[
        list[str] | None, typer.Option(help="Folder or Hub id; repeat to compare more; default: the bundled one.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: the first free one from 7860.")] = None,
) -> None:
    """Serve the demo page on this machine: listen, live, compare, batch; nothing is sent elsewhere or kept."""
    from importlib import import_module

    from ..shipped import shipped_folder

    sys.path.insert(0, str(shipped_folder("space")))  # its files find each other there, as they do on the Hub
    with require_extra("space"):
        page = import_module("app")
    page.launch(model or ["bundled"], port)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="Folder or Hub id of a published checkpoint.")],
    out: Annotated[Path, typer.Argument(help="Folder to write; it must not exist yet.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the Hub.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="SPDX id of its licence, for a folder of which nothing is known.")
    ] = None,
) -> None:
    """Turn a published checkpoint in its original key layout into one of ours."""
    with require_extra("torch"):
        from ..convert.student import convert_student
        from ..convert.teacher import convert_teacher, is_teacher
    convert_one = convert_teacher if is_teacher(source, revision) else convert_student
    convert_one(source, out, revision, licence)
    typer.echo(f"wrote {out}")


@app.command()
def licence(
    model: Annotated[
        str | None, typer.Argument(help="Checkpoint folder or Hub id; default: the bundled checkpoint.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the Hub.")] = None,
) -> None:
    """What a model was made from, what each part allows, and the licence that follows."""
    from rich.console import Console

    from ..inference.predictor import BUNDLED
    from ..provenance.licence_tree import licence_tree

    Console().print(licence_tree(model or str(BUNDLED), revision))
