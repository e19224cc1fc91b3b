"""`wav2small compare`: two recordings, or two folders with the same names, as a table, CSV or JSON, and a picture."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..atomic import whole_file
from ..inference.compare import Comparison
from ..models.adv import LABELS
from ..models.audio import audio_files
from ..models.errors import Wav2SmallError
from .command import printable
from .plot import COLORS, GREY, INK, LIGHT, check_plot

if TYPE_CHECKING:
    from rich.table import Table


def pair_files(before: Path, after: Path) -> list[tuple[str, str, str]]:
    """Pair two files, or the audio files of two folders by their place and name, whatever the suffix.

    Returns:
        Name, file before and file after of each pair.

    Raises:
        Wav2SmallError: if one is a folder and the other is not, or the folders do not hold the same names.
    """
    if before.is_dir() != after.is_dir():
        raise Wav2SmallError(f"{before} and {after} are a folder and a file: compare two of the same kind")
    if not before.is_dir():
        return [(printable(before.name), str(before), str(after))]
    first, second = (
        {str(file.relative_to(folder).with_suffix("")): str(file) for file in audio_files(folder)}
        for folder in (before, after)
    )
    alone = sorted(first.keys() ^ second.keys())
    if alone:
        raise Wav2SmallError(f"{alone[0]} is in one of {before} and {after} only, and {len(alone) - 1} others are")
    return [(printable(name), first[name], second[name]) for name in sorted(first)]


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """A row for each pair: each dimension before, after, its change, and whether that is beyond the model's errors.

    Numbers are `None` without speech.
    """
    rows: list[dict[str, Any]] = []
    for name, before, after, change, differs in zip(
        comparison.names, comparison.before, comparison.after, comparison.changes(), comparison.differs(), strict=True
    ):
        row: dict[str, Any] = {"name": name}
        for i, label in enumerate(LABELS):
            values = before.as_array()[i], after.as_array()[i], change[i]
            for kind, value in zip(("before", "after", "change"), values, strict=True):
                row[f"{label}_{kind}"] = None if np.isnan(value) else round(float(value), 6)
            row[f"{label}_differs"] = bool(differs[i])
        rows.append({**row, "word_before": before.word, "word_after": after.word})
    return rows


def format_comparison(comparison: Comparison, kind: str) -> bytes:
    """The rows as CSV or JSON."""
    rows = records(comparison)
    if kind == "json":
        return (json.dumps(rows, indent=2, ensure_ascii=False) + "\n").encode()
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def comparison_table(comparison: Comparison) -> "Table":
    """A table for the terminal: the change of each pair, and the mean with its interval at the end.

    A change beyond the model's errors has an asterisk.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True, show_footer=True)
    mean, (low, high) = comparison.mean()
    table.add_column("change", footer="mean", overflow="fold")
    for label, value in zip(LABELS, mean, strict=True):
        table.add_column(label, footer="-" if np.isnan(value) else f"{value:+.3f}", justify="right")
    table.add_column("word", footer="")
    notes = []
    for name, before, after, change, differs in zip(
        comparison.names, comparison.before, comparison.after, comparison.changes(), comparison.differs(), strict=True
    ):
        marks = ["*" if far else " " for far in differs]
        cells = ["-" if np.isnan(value) else f"{value:+.3f}{mark}" for value, mark in zip(change, marks, strict=True)]
        word = before.word if before.word == after.word else f"{before.word} > {after.word}"
        table.add_row(escape(name), *cells, word or "")
    if not np.isnan(low[0]):
        spans = (f"{bottom:+.3f} to {top:+.3f}" for bottom, top in zip(low, high, strict=True))
        notes.append(f"95 % of the mean: {', '.join(f'{n} {s}' for n, s in zip(LABELS, spans, strict=True))}")
    if comparison.differs().any():
        notes.append("* beyond the model's errors: the intervals before and after do not touch")
    table.caption, table.caption_justify = "\n".join(notes) or None, "left"
    return table


def draw_comparison(comparison: Comparison, path: Path) -> None:
    """Draw the change of each pair as a dot, and the mean with its interval, one row for each dimension.

    Raises:
        Wav2SmallError: for a suffix other than .png, .svg and .pdf, or without matplotlib.
    """
    check_plot(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    mean, (low, high) = comparison.mean()
    scatter = np.random.default_rng(0).uniform(-0.2, 0.2, len(comparison.names))
    for row, label in enumerate(LABELS):
        axes.scatter(comparison.changes()[:, row], row + scatter, s=12, color=COLORS[label], alpha=0.4, lw=0)
        axes.plot([low[row], high[row]], [row, row], color=INK, lw=2)
        axes.plot([mean[row]], [row], "o", color=INK, ms=6)
    axes.axvline(0, color=LIGHT, lw=1, zorder=0)
    axes.set(yticks=range(3), ylim=(2.5, -0.5), xlabel="change; black: mean and its 95 % interval")
    axes.set_yticklabels(LABELS)
    axes.tick_params(labelsize=9, color=LIGHT, labelcolor=GREY)
    axes.spines[["top", "right", "left"]].set_visible(False)
    with whole_file(path) as temporary:
        figure.savefig(temporary)
