"""The command `wav2small`: arguments in, rows or one-line errors out; the work is done elsewhere."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .errors import Wav2SmallError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tiny models that hear how something is said: arousal, dominance and valence from speech.",
)


def main() -> None:
    """Run the command line."""
    run(app)


def run(command: Callable[[], Any]) -> None:
    """Run a command; what a user can mend is one line on stderr and exit code 1."""
    try:
        command()
    except Wav2SmallError as error:
        complain(str(error))
        sys.exit(1)


def complain(message: str) -> None:
    """Print one line to stderr."""
    typer.echo(f"wav2small: {' '.join(message.split())}", err=True)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a missing package into the line that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Wav2SmallError(f"this command needs {error.name}: pip install 'wav2small[{extra}]'") from error


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
    from . import formats
    from .predictor import load

    kind = format or (formats.format_of(output) if output else "table")
    if kind == "parquet" and output is None:
        raise Wav2SmallError("Parquet is not for a terminal: name a file with --output")
    files = find_audio(paths)
    predictor = load(model, dtype=dtype)

    def answer(file: str) -> Any:
        try:
            source = sys.stdin.buffer.read() if file == "-" else file
            return predictor.timeline(source, window, hop) if timeline else [predictor(source)]
        except Wav2SmallError as error:
            return Wav2SmallError(str(error).replace("<bytes>", "standard input"))

    rows: list[formats.Row] = []
    errors: list[Wav2SmallError] = []
    for file, result in zip(files, in_order(answer, files, threads), strict=True):
        if isinstance(result, Wav2SmallError):
            errors.append(result)
        else:
            rows += [(file, prediction) for prediction in result]
    if rows:
        write(rows, kind, output)
    if rows and plot:
        from .plot import plot as draw

        draw(rows, plot)
    for error in errors:
        complain(str(error))
    if errors:
        if len(files) > 1:
            complain(f"{len(errors)} of {len(files)} files could not be read")
        raise typer.Exit(1)


def find_audio(paths: list[str]) -> list[str]:
    """Turn arguments into files: a folder stands for the audio files below it, sorted."""
    from .audio import SUFFIXES

    files: list[str] = []
    for path in paths:
        if path != "-" and Path(path).is_dir():
            found = sorted(str(p) for p in Path(path).rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not found:
                raise Wav2SmallError(f"{path} holds no audio files ({', '.join(sorted(SUFFIXES))})")
            files += found
        else:
            files.append(path)
    return files


def in_order(answer, files: list[str], threads: int) -> Iterator[Any]:
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


def write(rows: list, kind: Any, output: Path | None) -> None:
    """Write rows to a file, whole or not at all, or to stdout."""
    from . import formats
    from .atomic import whole_file

    if output:
        with whole_file(output) as temporary:
            temporary.write_bytes(formats.render(rows, kind))
    elif kind == "table":
        from rich.console import Console

        Console().print(formats.table(rows))
    else:
        sys.stdout.buffer.write(formats.render(rows, kind))
        sys.stdout.buffer.flush()


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="Folder or Hub id of a published checkpoint.")],
    out: Annotated[Path, typer.Argument(help="Folder to write; it must not exist yet.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the Hub.")] = None,
) -> None:
    """Turn a published checkpoint in its original key layout into one of ours."""
    with needs("torch"):
        from .convert_checkpoint import convert as convert_student
        from .convert_teacher import convert_teacher, is_teacher
    convert_one = convert_teacher if is_teacher(source, revision) else convert_student
    convert_one(source, out, revision)
    typer.echo(f"wrote {out}")


Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values of the recipe.")]


@app.command()
def annotate(
    recipe: Annotated[Path, typer.Argument(help="YAML file with a teacher and corpora.")],
    out: Annotated[Path, typer.Argument(help="Folder of the Parquet shards.")],
    overrides: Overrides = None,
) -> None:
    """Write a teacher's answers for the corpora of a recipe, once; goes on where it was stopped."""
    with needs("training"):
        from wav2small_training.annotate import main as run_annotate
    run_annotate(recipe, out, overrides)


@app.command()
def distill(
    recipe: Annotated[Path, typer.Argument(help="YAML file.")],
    overrides: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last saved state.")] = False,
) -> None:
    """Train a student from a recipe."""
    with needs("training"):
        from wav2small_training.distill import main as run_distill
    run_distill(recipe, overrides, resume)


@app.command()
def models(
    checkpoints: Annotated[list[Path] | None, typer.Argument(help="Folders; default: the bundled checkpoint.")] = None,
) -> None:
    """Teacher and students side by side: size, cost, speed, memory, licence."""
    with needs("training"):
        from wav2small_training.model_table import main as run_models
    run_models(checkpoints)


@app.command()
def evaluate(
    data: Annotated[str, typer.Option(help="Folder, Parquet or WebDataset pattern, or Hub id.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report; goes on where it was stopped.")],
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL...", help="Checkpoint folders or Hub ids; default: bundled.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Ratings: arousal=COLUMN,dominance=COLUMN,valence=COLUMN, or some of them.")
    ] = None,
    scale: Annotated[tuple[float, float], typer.Option(help="Lowest and highest rating.")] = (0.0, 1.0),
    emotion: Annotated[str | None, typer.Option(help="Column of emotion words: their norms are the target.")] = None,
    teacher: Annotated[str | None, typer.Option(help="Model whose answers are the target.")] = None,
    split: Annotated[str | None, typer.Option(help="Part of the data to score.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE that clips must have; repeatable.")] = None,
    config: Annotated[str | None, typer.Option(help="Configuration of a data set on the Hub.")] = None,
    audio: Annotated[str, typer.Option(help="Column of the audio.")] = "audio",
    groups: Annotated[str | None, typer.Option(help="Columns to break the scores down by: sex,speaker.")] = None,
    conditions: Annotated[bool, typer.Option("--conditions", help="Robustness tests and distortions too.")] = False,
    noise: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of noise for --conditions.")
    ] = None,
    rooms: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of impulse responses for --conditions.")
    ] = None,
) -> None:
    """Score models side by side: agreement, robustness, fairness; a Markdown and a JSON report with plots."""
    with needs("training"):
        from wav2small_training.evaluate import main as run_evaluate
    run_evaluate(
        models or [], data, out, split=split, where=where, config=config, audio=audio, columns=columns, scale=scale,
        emotion=emotion, teacher=teacher, groups=groups, all_conditions=conditions, noise=noise, rooms=rooms,
    )  # fmt: skip


@app.command()
def export(
    source: Annotated[str, typer.Argument(help="Checkpoint folder or Hub id.")],
    out: Annotated[Path, typer.Argument(help="Folder to write; or SOURCE itself, to add the files to it.")],
    speech: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Recordings to calibrate on, for 4 bits.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Markdown file: all ways to quantize, measured.")] = None,
) -> None:
    """Write the ONNX files of a checkpoint: float, 8 bit, 4 bit (float16 for a teacher)."""
    if report and not speech:
        raise Wav2SmallError("--report compares on speech: name a folder with --speech")
    with needs("export"):
        from wav2small_training.compare import report as run_report
        from wav2small_training.export import export as run_export
    model = run_export(source, out, speech)
    if report and speech:
        run_report(model, speech, report)
    typer.echo(f"wrote {out}")
