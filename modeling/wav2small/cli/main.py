"""The command `wav2small`: arguments in, tables, files and one-line errors out; the work is done elsewhere.

Heavy packages are imported inside the command that needs them, so that `wav2small --help` is quick.
"""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from ..models.errors import Wav2SmallError
from .command import print_error, printable, require_extra, run_command
from .notice import LAW, NOTICE

if TYPE_CHECKING:
    from ..inference.prediction import Prediction
    from .formats import Format, Row

MODEL_HELP = "Folder, name of a bundled checkpoint, or Hub id; default: the default one of `wav2small models`."
MAX_THREADS = 8  # by default: ten minutes in one pass take some 1.5 GB
PROGRESS_FILES = 10  # with fewer files no progress bar is shown, unless each gets a timeline


class Commands(TyperGroup):
    """The commands below, followed by those of other packages (entry points of the group "wav2small.commands").

    The other packages are searched only if the user asks for help or for a command that is not below.
    """

    @cached_property
    def plugins(self) -> dict[str, Any]:
        """Commands of other packages by name."""
        from importlib.metadata import entry_points

        found: dict[str, Any] = {}
        for entry in entry_points(group="wav2small.commands"):
            plugin = entry.load()
            plugin.rich_markup_mode = app.rich_markup_mode  # the same look of the help
            found |= typer.main.get_group(plugin).commands
        return found

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands, in the order of the help."""
        own = super().list_commands(ctx)
        return [*own, *(name for name in self.plugins if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name; `None` if there is none."""
        return super().get_command(ctx, cmd_name) or self.plugins.get(cmd_name)


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help is quicker and fits 80 columns
    epilog=LAW.replace("\n- ", "\n\n- "),
)


def main() -> None:
    """Run the command line."""
    run_command(app)


def print_version(wanted: bool) -> None:
    """Print the version and stop, if it is wanted."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"wav2small {version('wav2small')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Arousal, dominance and valence of speech, with tiny models.

    What the numbers mean: https://wav2small.github.io/wav2small/meaning.html
    """


@app.command()
def predict(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files, folders to search, or - for stdin.")],
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    dtype: Annotated[
        Literal["fp32", "fp16", "q8", "q4"] | None,
        typer.Option(help="ONNX file: float, half precision, 8 or 4 bits; default: the first of these that there is."),
    ] = None,
    format: Annotated[
        Literal["table", "json", "csv", "parquet"] | None,
        typer.Option(help="Default: by the suffix of --output, else a table."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default: stdout.")] = None,
    timeline: Annotated[bool, typer.Option("--timeline", help="Predict each window of a recording.")] = False,
    window: Annotated[float | None, typer.Option(help="Seconds in a window of the timeline; default: 5.")] = None,
    hop: Annotated[float | None, typer.Option(help="Seconds from one window to the next; default: 1.")] = None,
    segments: Annotated[
        Path | None, typer.Option(help="Predict each turn of one recording: .srt, .vtt, .rttm, .json or .TextGrid.")
    ] = None,
    turns: Annotated[bool, typer.Option("--turns", help="Predict each turn, cut at pauses.")] = False,
    channels: Annotated[
        Literal["mix", "split"], typer.Option(help="Mix the channels, or take each for a speaker of its own.")
    ] = "mix",
    plot: Annotated[Path | None, typer.Option(help="Picture to write: .png, .svg or .pdf.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Files predicted at the same time; each needs memory.")] = min(
        MAX_THREADS, os.cpu_count() or 1
    ),
) -> None:
    """Predict arousal, dominance and valence of recordings."""
    from ..atomic import check_place
    from ..inference.predictor import load
    from ..inference.segments import read_segments
    from . import formats
    from .sources import Way, predict_source

    kind = format or (formats.guess_format(output) if output else "table")
    formats.check_format(kind, output)
    if plot:
        from .plot import check_plot

        check_plot(plot)
    for file_to_write in filter(None, (output, plot)):
        check_place(file_to_write)
    if not timeline and (window, hop) != (None, None):
        raise Wav2SmallError("--window and --hop are those of a timeline: add --timeline, or leave them out")
    files = expand_paths(paths)
    if segments and len(files) > 1:
        raise Wav2SmallError(f"{segments} belongs to one recording: name one, not {len(files)}")
    if timeline + turns + bool(segments) > 1:
        raise Wav2SmallError("--timeline, --turns and --segments are three ways to cut a recording: choose one")
    if segments and channels == "split":
        raise Wav2SmallError("--segments says who speaks: it does not go with --channels split")
    windows = 5.0 if window is None else window, 1.0 if hop is None else hop
    way: Way = read_segments(segments) if segments else "turns" if turns else windows if timeline else "whole"
    long = way != "whole"
    predictor = load(model, dtype=dtype)

    def predict_file(file: str) -> "list[Prediction] | Wav2SmallError":
        try:
            source = sys.stdin.buffer.read() if file == "-" else file
            return predict_source(predictor, source, way, channels == "split", show=long and len(files) == 1)
        except Wav2SmallError as error:
            return Wav2SmallError(str(error).replace("<bytes>", "standard input"))

    rows: list[Row] = []
    errors: list[Wav2SmallError] = []
    results = map_files(predict_file, files, threads, progress=len(files) > 1 if long else len(files) >= PROGRESS_FILES)
    for file, result in zip(files, results, strict=True):
        if isinstance(result, Wav2SmallError):
            errors.append(result)
        else:
            rows += [(printable(file), prediction) for prediction in result]
    if rows:
        write_rows(rows, kind, output)
    if rows and plot:
        from .plot import draw_plot

        draw_plot([(formats.row_name(file, one), one) for file, one in rows], plot, predictor.words)
    for error in errors:
        print_error(str(error))
    if errors:
        if len(files) > 1:
            print_error(f"{len(errors)} of {len(files)} files could not be read")
        raise typer.Exit(1)


def expand_paths(paths: list[str]) -> list[str]:
    """Replace each folder by the audio files below it, sorted."""
    from ..models.audio import audio_files

    files: list[str] = []
    for path in paths:
        files += map(str, audio_files(path)) if path != "-" and os.path.isdir(path) else [path]  # noqa: PTH112 long names
    return files


def map_files(function: Callable[[str], Any], files: list[str], threads: int, progress: bool) -> Iterator[Any]:
    """Call a function with each file, in several threads; yield the results in the order of the files.

    Args:
        function: takes a file and returns its result.
        files: its arguments.
        threads: calls at the same time.
        progress: show a progress bar, if stderr is a terminal.
    """
    pool = ThreadPoolExecutor(threads) if min(threads, len(files)) > 1 else None
    results: Any = pool.map(function, files) if pool else map(function, files)
    if progress and sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        results = track(results, "predicting", total=len(files), console=Console(stderr=True), transient=True)
    try:
        yield from results
    except KeyboardInterrupt:
        if pool is None:
            raise
        print_error("stopped")
        os._exit(130)  # the other threads would be waited for
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)


def write_rows(rows: "list[Row]", kind: "Format", output: Path | None) -> None:
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
def listen(
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    device: Annotated[
        str | None, typer.Option(help="Number or part of the name; `python -m sounddevice` lists them.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A line of JSON for each prediction.")] = False,
) -> None:
    """Predict what the microphone hears; Ctrl-C stops.

    Each prediction covers the last 3 s. Nothing is stored.
    """
    from ..inference.predictor import load
    from .listen import listen as run_listen

    run_listen(load(model), device, json)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="A", exists=True, help="A recording, or a folder.")],
    after: Annotated[Path, typer.Argument(metavar="B", exists=True, help="Its counterpart.")],
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    format: Annotated[
        Literal["table", "json", "csv"] | None, typer.Option(help="Default: by the suffix of --output, else a table.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write, .csv or .json.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture to write: .png, .svg or .pdf.")] = None,
) -> None:
    """Show how B differs from A: a codec, an enhancer, a voice.

    Folders are compared file by file, by name.
    """
    from rich.console import Console

    from ..atomic import whole_file
    from ..inference.compare import compare as run_compare
    from ..inference.predictor import load
    from . import compare as tables

    kind = format or (output.suffix[1:].lower() if output else "table")
    if output and kind not in ("csv", "json"):
        raise Wav2SmallError(f"{output}: a comparison is saved as .csv or .json")
    names, first, second = zip(*tables.pair_files(before, after), strict=True)
    comparison = run_compare(load(model), first, second, names)
    if output:
        with whole_file(output) as temporary:
            temporary.write_bytes(tables.format_comparison(comparison, kind))
    elif kind == "table":
        Console().print(tables.comparison_table(comparison))
    else:
        typer.echo(tables.format_comparison(comparison, kind), nl=False)
    if plot:
        tables.draw_comparison(comparison, plot)


@app.command()
def notice() -> None:
    """Print a notice for people who are heard, and the law."""
    typer.echo(NOTICE)
    typer.echo(f"\n{LAW}", err=True)


@app.command()
def models(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="Checkpoints to list beside them."),
    ] = None,
) -> None:
    """List the bundled checkpoints by size, quality and time.

    In a checkout, those in its folder `checkpoints` follow. The first one is the default.
    """
    from rich.console import Console

    from ..bundled import bundled_checkpoints, checkout_checkpoints
    from ..inference.catalogue import catalogue
    from .catalogue_table import catalogue_table

    named = {str(folder): folder for folder in folders or []}
    with Console(stderr=True).status("measuring"):
        entries = catalogue(bundled_checkpoints() | checkout_checkpoints() | named)
    Console().print(catalogue_table(entries))


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="MODEL", help="Folder or Hub id of a published checkpoint.")],
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to write; it must not exist yet.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the Hub.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="SPDX id of its licence, if the model does not state one.")
    ] = None,
) -> None:
    """Convert a published checkpoint to wav2small's layout.

    Known are `audeering/wav2small` and the two teachers of the paper, and folders in the same layouts.
    """
    with require_extra("torch"):
        from ..convert.student import convert_student
        from ..convert.teacher import convert_teacher, is_teacher
    convert_one = convert_teacher if is_teacher(source, revision) else convert_student
    convert_one(source, out, revision, licence)
    typer.echo(f"wrote {out}")


@app.command()
def licence(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help=MODEL_HELP)] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the Hub.")] = None,
) -> None:
    """Show a model's sources, their licences and its own."""
    from rich.console import Console

    from ..bundled import BUNDLED
    from ..provenance.licence_tree import licence_tree

    Console().print(licence_tree(model or str(BUNDLED), revision))
