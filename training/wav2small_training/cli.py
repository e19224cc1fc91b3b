"""The commands of those who make models; the work is done elsewhere."""

from pathlib import Path
from typing import Annotated, Any

import typer

from wav2small.cli.command import require_extra
from wav2small.models.errors import Wav2SmallError

app = typer.Typer()

Overrides = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Values of the recipe.")]


@app.command()
def annotate(
    recipe: Annotated[Path, typer.Argument(help="YAML file with a teacher and corpora.")],
    out: Annotated[Path, typer.Argument(help="Folder of the Parquet shards.")],
    overrides: Overrides = None,
) -> None:
    """Write a teacher's labels for the corpora of a recipe.

    A run that was stopped is continued.
    """
    with require_extra("training"):
        from .distillation.annotate import main as run_annotate
    run_annotate(recipe, out, overrides)


@app.command()
def mix(
    recipe: Annotated[Path, typer.Argument(help="YAML file.")],
    out: Annotated[Path, typer.Argument(help="Folder of the Parquet shards.")],
    overrides: Overrides = None,
    clips: Annotated[int, typer.Option(min=1, help="How many to render.")] = 10_000,
) -> None:
    """Render augmented clips and their teacher labels, once.

    Students train from them as often as needed. A run that was stopped is continued.
    """
    with require_extra("training"):
        from .distillation.mix import main as run_mix
        from .recipe_file import load_mixture
    typer.echo(run_mix(load_mixture(recipe, overrides), out, clips))


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
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last saved state.")] = False,
    publish_to: Annotated[
        str | None,
        typer.Option("--publish", metavar="ORG/NAME", help="Then export, evaluate, write the card and publish it."),
    ] = None,
) -> None:
    """Train a student from a recipe.

    With --publish it is then exported, evaluated and published.
    """
    with require_extra("training"):
        from .distillation.distill import main as run_distill
        from .recipe_file import load_recipe
    if not publish_to:
        run_distill(recipe, overrides, resume)
        return
    with require_extra("export"):
        from .hub import release
    settings = load_recipe(recipe, overrides)
    release.ready(settings, publish_to)
    run_distill(recipe, overrides, resume)
    show(release.release(settings, publish_to))


@app.command()
def models(
    checkpoints: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER", help="Checkpoints; default: the bundled one.")
    ] = None,
) -> None:
    """Compare the size, cost, speed and memory of models.

    The table also names their licences.
    """
    with require_extra("training"):
        from .benchmarks.model_table import main as run_models
    run_models(checkpoints)


@app.command()
def evaluate(
    data: Annotated[str, typer.Option(help="Folder, Parquet or WebDataset pattern, or Hub id.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report; goes on where it was stopped.")],
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Checkpoint folders or Hub ids; default: bundled.")
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
    """Score models: agreement, robustness, fairness.

    Writes a report as Markdown and as JSON, with plots.
    """
    with require_extra("training"):
        from .evaluation.evaluate import main as run_evaluate
    run_evaluate(
        models or [], data, out, split=split, where=where, config=config, audio=audio, columns=columns, scale=scale,
        emotion=emotion, teacher=teacher, groups=groups, all_conditions=conditions, noise=noise, rooms=rooms,
    )  # fmt: skip


@app.command()
def card(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="A checkpoint, annotations, or the Space.")
    ],
    results: Annotated[
        list[Path] | None,
        typer.Option(exists=True, file_okay=False, help="Folder of a report of `wav2small evaluate`; repeatable."),
    ] = None,
    id: Annotated[
        str | None, typer.Option(help="On the Hub, for the code in the card; for the Space: of the model it shows.")
    ] = None,
    speed: Annotated[bool, typer.Option("--speed", help="Measure size, time and memory, on an idle machine.")] = False,
    compare: Annotated[
        list[Path] | None,
        typer.Option(exists=True, file_okay=False, help="Checkpoint to measure beside this one; repeatable."),
    ] = None,
) -> None:
    """Write a model card from what was measured and recorded.

    The card is README.md in the folder. A card that was edited by hand is never overwritten.
    """
    if compare and not speed:
        raise Wav2SmallError("--compare is for --speed: give that too")
    with require_extra("training"):
        from .hub.card import write as write_card
    typer.echo(f"wrote {write_card(folder, results, id=id, speed=speed, compare=compare)}")


@app.command()
def export(
    source: Annotated[str, typer.Argument(help="Checkpoint folder or Hub id.")],
    out: Annotated[Path, typer.Argument(help="Folder to write; or SOURCE itself, to add the files to it.")],
    speech: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Recordings to calibrate on, for 4 bits.")
    ] = None,
    speech_licence: Annotated[str | None, typer.Option(help="SPDX id of the licence of these recordings.")] = None,
    report: Annotated[Path | None, typer.Option(help="Markdown file: all ways to quantize, measured.")] = None,
) -> None:
    """Write the ONNX files of a checkpoint.

    These are float, 8 bits and 4 bits (float16 for a teacher).
    """
    if report and not speech:
        raise Wav2SmallError("--report compares on speech: name a folder with --speech")
    if speech and not speech_licence:
        raise Wav2SmallError(f"{speech} shapes the small files: name its licence with --speech-licence, as an SPDX id")
    with require_extra("export"):
        from .benchmarks.quantization import report as run_report
        from .exporters.export import export as run_export
    model = run_export(source, out, speech, speech_licence)
    if report and speech:
        run_report(model, speech, report)
    typer.echo(f"wrote {out}")


@app.command()
def calibrate(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint folder with ONNX files; it gets a words.json.")],
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER", exists=True, file_okay=False, help="Ordinary speech, such as people reading aloud."
        ),
    ],
    check: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, file_okay=False, help="More speech to try the words on, such as acted emotions; repeatable."
        ),
    ] = None,
) -> None:
    """Measure the thresholds of a checkpoint's affect words.

    They are percentiles of its predictions on ordinary speech.
    """
    with require_extra("training"):
        from .evaluation.calibrate import calibrate as run_calibrate
    typer.echo(run_calibrate(checkpoint, folders, check or []))


Place = Annotated[str, typer.Argument(metavar="ORG/NAME", help="Where on the Hub.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, show what would be done, send nothing.")]
Private = Annotated[bool, typer.Option("--private", help="Make a new one private.")]
Branch = Annotated[str | None, typer.Option(help="Branch, made if it is not there; default: main.")]
PullRequest = Annotated[bool, typer.Option("--pr", help="Propose the change as a pull request.")]


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="Checkpoint folder with ONNX files and card.")],
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
    show(run_publish(folder, place, private=private, revision=revision, pull_request=pr, dry_run=dry_run))


@app.command("publish-space")
def publish_space(
    place: Place,
    folder: Annotated[Path | None, typer.Option(help="Default: the Space of this package.")] = None,
    dry_run: DryRun = False,
    private: Private = False,
    revision: Branch = None,
    pr: PullRequest = False,
) -> None:
    """Check the demo page and publish it as a Space.

    A Gradio Space on a CPU may need a paid plan of the Hub.
    """
    with require_extra("training"):
        from .hub.publish import publish_space as run_publish
    show(run_publish(folder, place, private=private, revision=revision, pull_request=pr, dry_run=dry_run))


@app.command()
def collect(
    title: Annotated[str, typer.Argument(help="Of the collection; it belongs to the owner of the first item.")],
    items: Annotated[list[str], typer.Argument(metavar="ITEM", help="org/name of a model, spaces/org/name, …")],
    private: Private = False,
) -> None:
    """Put models and a Space into a collection on the Hub.

    If the collection exists, the missing items are added.
    """
    with require_extra("training"):
        from .hub.publish import collect as run_collect
    typer.echo(run_collect(title, items, private))


def show(plan: Any) -> None:
    """Print what was published, or would be: a table and one line."""
    from rich.console import Console

    typer.echo(plan.title())
    Console().print(plan.table())
    for line in (plan.note, str(plan)):
        if line:
            typer.echo(line)
