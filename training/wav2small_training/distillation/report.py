"""The report of a training run: the student's agreement with its targets, step by step, as a table and a curve."""

from pathlib import Path

from matplotlib.figure import Figure

from wav2small.atomic import whole_file
from wav2small.cli.plot import COLORS
from wav2small.models.adv import LABELS

from ..data.overlap import shared_clips
from ..recipe import Recipe
from .ema import share_of_start
from .loop_state import LoopState

LARGEST_START = 0.05  # share of the first weights in the average that a report says nothing about


def write_report(recipe: Recipe, state: LoopState) -> None:
    """Write `report.md` and `curve.png` into the output folder of a run; step 0 is the untrained student."""
    out = Path(recipe.output)
    speed = state.step * recipe.batch / max(state.seconds, 1e-9)
    lines = [
        f"# {recipe.name}",
        "",
        f"{state.step} steps of {recipe.batch} clips of up to {recipe.crop_range[1]:g} s in {state.seconds / 60:.1f} "
        f"minutes, {speed:.0f} clips a second; {state.skipped} bad items skipped. Recipe: [recipe.yaml](recipe.yaml).",
        "",
        "Concordance correlation of the student with its targets on the validation clips (where there are several "
        "corpora, on the worst of them); step 0 is the untrained student:",
        "",
        "| step | arousal | dominance | valence | training loss |",
        "|--:|--:|--:|--:|--:|",
    ]
    for entry in state.history:
        scores = " | ".join(f"{score:.3f}" for score in entry["ccc"])
        loss = "" if entry["loss"] is None else f"{entry['loss']:.3f}"
        lines.append(f"| {entry['step']} | {scores} | {loss} |")
    for sentence in shared_clips(recipe):
        lines += ["", f"**{sentence[0].upper()}{sentence[1:]}**: these figures flatter the student."]
    lines += ["", "![CCC to the targets](curve.png)", ""]
    start = share_of_start(state.step, recipe.optimizer.ema_decay)
    if start > LARGEST_START:
        lines += [
            f"**{start:.0%} of the averaged weights are those of the first step**: train longer, or lower "
            f"optimizer.ema_decay ({recipe.optimizer.ema_decay:g}).",
            "",
        ]
    with whole_file(out / "curve.png") as temporary:
        curve(state).savefig(temporary, dpi=120)
    with whole_file(out / "report.md") as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")


def curve(state: LoopState) -> Figure:
    """CCC to the targets over steps."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    steps = [entry["step"] for entry in state.history]
    for i, name in enumerate(LABELS):
        axes.plot(steps, [entry["ccc"][i] for entry in state.history], "o-", ms=4, color=COLORS[name], label=name)
    axes.set(xlabel="step", ylabel="CCC to the targets, validation clips", ylim=(min(-0.05, axes.get_ylim()[0]), 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure
