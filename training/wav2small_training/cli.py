"""Commands that make models; the work is done in the modules that they import."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from wav2small.cli.command import require_extra
from wav2small.models.errors import Wav2SmallError

app = typer.Typer()

Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Values in place of those of the recipe.")
]


@app.command()
def annotate(
    recipe: Annotated[Path, typer.Argument(help="YAML file that names a teacher and corpora.")],
    out: Annotated[Path, typer.Argument(help="Folder to write Parquet files to.")],
    overrides: Overrides = None,
) -> None:
    """Write teacher labels for the corpora of a recipe.

    A run that was stopped is continued.
    """
    with require_extra("training"):
        from .recipe_file import load_recipe
    load_recipe(recipe, overrides)  # a fault is told at once, before torch is loaded
    with require_extra("training"):
        from .distillation.annotate import main as run_annotate
    run_annotate(recipe, out, overrides)


@app.command()
def mix(
    recipe: Annotated[Path, typer.Argument(help="YAML file.")],
    out: Annotated[Path, typer.Argument(help="Folder to write Parquet files to.")],
    overrides: Overrides = None,
    clips: Annotated[int, typer.Option(min=1, help="How many clips to render.")] = 10_000,
) -> None:
    """Render augmented clips and their teacher labels, once.

    Students train from them as often as needed. A run that was stopped is continued.
    """
    with require_extra("training"):
        from .recipe_file import load_mixture
    settings = load_mixture(recipe, overrides)
    with require_extra("training"):
        from .distillation.mix import main as run_mix
    typer.echo(run_mix(settings, out, clips))


@app.command()
def check(
    recipe: Annotated[Path, typer.Argument(help="YAML file.")],
    overrides: Overrides = None,
) -> None:
    """Open every source of a recipe and read one clip of each.

    Prints columns, licence, size, gate and a verdict; nothing is trained.
    """
    with require_extra("training"):
        from .data.check import check_recipe
        from .recipe_file import load_any
    failed = 0
    for found in check_recipe(load_any(recipe, overrides)):
        typer.echo(found)
        failed += found.error is not None
    if failed:
        raise Wav2SmallError(f"{recipe}: {failed} of its sources cannot be used: see above")
    typer.echo(f"{recipe}: all of its sources can be used")


@app.command("train-head")
def train_head(
    recipe: Annotated[Path, typer.Argument(help="YAML file with an encoder and labelled corpora.")],
    overrides: Overrides = None,
) -> None:
    """Make a teacher: a frozen encoder and a fitted head.

    The head is fitted to labelled corpora.
    """
    with require_extra("training"):
        from .recipe_file import load_head
    settings = load_head(recipe, overrides)
    with require_extra("training"):
        from .distillation.train_head import train_head as run_train_head
    figures = run_train_head(settings)
    scores = ", ".join(f"{name} {value:.2f}" for name, value in figures["pearson"].items())
    typer.echo(f"wrote {settings.output}: Pearson's r on unseen speakers of {figures['unseen_speakers_of']}: {scores}")


@app.command()
def distill(
    recipe: Annotated[Path, typer.Argument(help="YAML file.")],
    overrides: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a stopped training.")] = False,
    publish_to: Annotated[
        str | None,
        typer.Option("--publish", metavar="ORG/NAME", help="Afterwards export, evaluate, write the card and publish."),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Publish a student that learned nothing, too; the card shows it.")
    ] = False,
) -> None:
    """Train a student from a recipe.

    With --publish it is then exported, evaluated and published.
    """
    if (private or anyway) and not publish_to:
        raise Wav2SmallError("--private and --anyway are for --publish: give that too")
    with require_extra("training"):
        from .recipe_file import load_recipe
    settings = load_recipe(recipe, overrides)
    with require_extra("training"):
        from .distillation.distill import main as run_distill
    if not publish_to:
        run_distill(recipe, overrides, resume)
        return
    with require_extra("export"):
        from .hub import release
    release.check_release(settings, publish_to)
    run_distill(recipe, overrides, resume)
    print_plan(release.release(settings, publish_to, private=private, anyway=anyway))


@app.command()
def average(
    sources: Annotated[
        list[str], typer.Argument(metavar="CHECKPOINT", help="Students of kind tcn_adv, such as runs with other seeds.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the average, which has its name.")],
) -> None:
    """Put several students side by side in one network.

    Its answer is their mean: better than each, at the cost of all.
    """
    with require_extra("training"):
        from .distillation.average import average as run_average
    run_average(sources, out)
    typer.echo(f"wrote {out}")


@app.command()
def evaluate(
    data: Annotated[str, typer.Option(help="Folder, Parquet files, WebDataset pattern, or id on the Hub.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report; a stopped run goes on where it was.")],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Folders, ids on the Hub (org/name@revision), ONNX files, Python functions (module:function).",
        ),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Columns of ratings: arousal=A,dominance=B,valence=C, or some of them.")
    ] = None,
    scale: Annotated[tuple[float, float], typer.Option(help="Lowest and highest rating.")] = (0.0, 1.0),
    emotion: Annotated[
        str | None, typer.Option(help="Column of emotion words: targets are their norms, and AUC is computed.")
    ] = None,
    teacher: Annotated[
        list[str] | None, typer.Option(help="Model whose predictions are the target; repeated: the mean of several.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split to score, such as test.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Score only clips that have this value; repeatable."),
    ] = None,
    config: Annotated[str | None, typer.Option(help="Configuration of a data set on the Hub.")] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of a data set on the Hub.")] = None,
    audio: Annotated[str, typer.Option(help="Column of the audio.")] = "audio",
    groups: Annotated[str | None, typer.Option(help="Columns to group the scores by, such as sex,speaker.")] = None,
    conditions: Annotated[
        bool, typer.Option("--conditions", help="Also run the robustness tests and distortions.")
    ] = False,
    noise: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of noise, for --conditions.")
    ] = None,
    rooms: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of room impulse responses, for --conditions."),
    ] = None,
) -> None:
    """Score models: agreement, robustness, fairness.

    Writes a report as Markdown and as JSON, with plots.
    """
    with require_extra("training"):
        from .evaluation.evaluate import main as run_evaluate
    run_evaluate(
        models or [], data, out, split=split, where=where, config=config, audio=audio, columns=columns, scale=scale,
        emotion=emotion, teacher=teacher, revision=revision, groups=groups, all_conditions=conditions, noise=noise,
        rooms=rooms,
    )  # fmt: skip


@app.command()
def card(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of a checkpoint or of teacher labels.")
    ],
    results: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", exists=True, file_okay=False, help="Folder of a report of wav2small evaluate; repeatable."
        ),
    ] = None,
    id: Annotated[str | None, typer.Option(help="Id on the Hub (org/name), for the code in the card.")] = None,
    speed: Annotated[
        bool, typer.Option("--speed", help="Measure size, time and memory; needs an idle machine.")
    ] = False,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", exists=True, file_okay=False, help="Checkpoint to measure beside this one; repeatable."
        ),
    ] = None,
) -> None:
    """Write a model card from what was measured and recorded.

    The card is README.md in the folder. A card that was edited by hand is never overwritten.
    """
    if compare and not speed:
        raise Wav2SmallError("--compare needs --speed: add it")
    with require_extra("training"):
        from .hub.card import write_card
    typer.echo(f"wrote {write_card(folder, results, id=id, speed=speed, compare=compare)}")


@app.command()
def export(
    source: Annotated[str, typer.Argument(help="Checkpoint folder or id on the Hub.")],
    out: Annotated[Path, typer.Argument(help="New folder for a copy with the files, or SOURCE itself.")],
    speech: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of speech to calibrate on; needed for 4 bits."),
    ] = None,
    speech_licence: Annotated[str | None, typer.Option(help="SPDX id of the licence of that speech.")] = None,
    dtype: Annotated[
        Literal["fp32", "fp16", "q8", "q4"] | None,
        typer.Option(help="Keep this ONNX file alone; default: all that this kind of model has."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Markdown file to write: all ways to quantize, measured.")] = None,
    kind: Annotated[
        Literal["onnx", "c", "executorch", "litert"],
        typer.Option("--format", help="onnx; c: OUT gets wav2small.h and wav2small.c, C99; or a runtime: its files."),
    ] = "onnx",
) -> None:
    """Write a checkpoint as ONNX, C or the files of a runtime.

    ONNX files are float, 8 bits and 4 bits (float16 for a teacher); one C source has all three.
    """
    if (report or dtype) and kind != "onnx":
        raise Wav2SmallError(f"--report and --dtype are for ONNX files: remove them, or --format {kind}")
    if kind in ("executorch", "litert"):
        if speech:
            raise Wav2SmallError(f"--speech is for ONNX files and C: remove it, or --format {kind}")
        with require_extra(kind):
            from .exporters.device import export_device

            export_device(source, out, kind)
        typer.echo(f"wrote {out}")
        return
    if report and not speech:
        raise Wav2SmallError("--report needs speech: name a folder with --speech")
    if speech and not speech_licence:
        raise Wav2SmallError(
            f"the small files depend on {speech}: name its licence with --speech-licence, as an SPDX id"
        )
    with require_extra("export"):
        from .benchmarks.quantization import report as run_report
        from .exporters.c.generate import export_c
        from .exporters.export import export as run_export
    if kind == "c":
        export_c(source, out, speech, speech_licence)
        typer.echo(f"wrote {out}")
        return
    model = run_export(source, out, speech, speech_licence, dtype)
    if report and speech:
        run_report(model, speech, report)
    typer.echo(f"wrote {out}")


@app.command()
def calibrate(
    checkpoint: Annotated[
        Path, typer.Argument(help="Checkpoint folder with ONNX files; it gets words.json and intervals.json.")
    ],
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER", exists=True, file_okay=False, help="Folders of ordinary speech, such as people reading."
        ),
    ],
    check: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, file_okay=False, help="Folder of other speech to count words on, such as acted; repeatable."
        ),
    ] = None,
    rated: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Folder of rated speech of people not trained on, for the intervals."
        ),
    ] = None,
) -> None:
    """Measure a checkpoint's affect words and intervals.

    Thresholds of words are percentiles on ordinary speech.
    """
    with require_extra("training"):
        from .evaluation.calibrate import calibrate as run_calibrate
    typer.echo(run_calibrate(checkpoint, folders, check or [], rated))


Place = Annotated[str, typer.Argument(metavar="ORG/NAME", help="Repository on the Hub.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything and show the changes; send nothing.")]
Private = Annotated[bool, typer.Option("--private", help="Make a new repository private.")]
Branch = Annotated[str | None, typer.Option(help="Branch; created if it is missing; default: main.")]
PullRequest = Annotated[bool, typer.Option("--pr", help="Propose the change as a pull request.")]


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="Checkpoint folder with ONNX files and a card.")],
    place: Place,
    dry_run: DryRun = False,
    private: Private = False,
    revision: Branch = None,
    pr: PullRequest = False,
) -> None:
    """Check a checkpoint and publish it on the Hub.

    It is one commit. If nothing has changed since, nothing is sent.
    """
    with require_extra("training"):
        from .hub.publish import publish as run_publish
    print_plan(run_publish(folder, place, private=private, revision=revision, pull_request=pr, dry_run=dry_run))


@app.command("publish-space")
def publish_space(
    place: Place,
    folder: Annotated[Path | None, typer.Option(help="Folder of the Space; default: that of this package.")] = None,
    static: Annotated[
        bool, typer.Option("--static", help="Publish the page that needs no server: a static Space is free.")
    ] = False,
    dry_run: DryRun = False,
    private: Private = False,
    revision: Branch = None,
    pr: PullRequest = False,
) -> None:
    """Check the demo page and publish it as a Space.

    A Gradio Space on a CPU may need a paid plan of the Hub.
    """
    if static and folder:
        raise Wav2SmallError("--static publishes the page of this package: remove it, or --folder")
    with require_extra("training"):
        from .hub.publish import publish_space as run_publish
    print_plan(
        run_publish(folder, place, static=static, private=private, revision=revision, pull_request=pr, dry_run=dry_run)
    )


@app.command()
def collect(
    title: Annotated[str, typer.Argument(help="Title; the collection belongs to the owner of the first item.")],
    items: Annotated[
        list[str], typer.Argument(metavar="ITEM", help="org/name of a model, spaces/org/name or datasets/org/name.")
    ],
    private: Private = False,
) -> None:
    """Put models and Spaces into a collection on the Hub.

    Items that are in it already stay.
    """
    with require_extra("training"):
        from .hub.publish import collect as run_collect
    typer.echo(run_collect(title, items, private))


def print_plan(plan: Any) -> None:
    """Print what was published, or would be published: a table and one line."""
    from rich.console import Console

    typer.echo(plan.title())
    Console().print(plan.table())
    for line in (plan.note, str(plan)):
        if line:
            typer.echo(line)
