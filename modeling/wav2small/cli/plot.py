"""A picture of predictions: recordings as dots in the arousal-valence plane, beside bars or curves over time."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..atomic import whole_file
from ..inference.words import REGIONS, SILENCE, AffectWords
from ..models.adv import LABELS
from ..models.errors import Wav2SmallError
from .formats import Row
from .plot_labels import place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..inference.prediction import Prediction

# colours that people with colour blindness can tell apart (Okabe and Ito, 2008)
COLORS = {"arousal": "#D55E00", "dominance": "#0072B2", "valence": "#009E73"}
INK, GREY, LIGHT = "#1f2937", "#6b7280", "#d1d5db"
DOT_COLOR = "#0072B2"
SUFFIXES = (".pdf", ".png", ".svg")
MIN_ROWS = 9  # with fewer files, the bars stay slim
MAX_BARS = 24  # with more files, their names cannot be read: histograms take the place of the bars
MAX_STRIPS = 12  # with more files, curves cannot be read: the mean of each takes their place
MAX_PATHS = 3  # with more files, the paths of their windows through the plane cannot be told apart
MAX_VALUES = 12  # with more files, numbers beside the bars cannot be read
MAX_LABELS = 40  # in the plane; with more files, those that differ most from the others are labelled first
MAX_NAME = 28  # characters of a name


def draw_plot(rows: list[Row], path: Path, words: AffectWords | None = None) -> None:
    """Draw and save a picture of predictions.

    Each recording is a dot in the arousal-valence plane. Beside the plane, recordings of one prediction each have a bar
    for each dimension (up to 24 recordings) or a histogram of each dimension (more); timelines of up to 12 recordings
    are curves over time, and the dot is the mean of the windows. Silence is grey.

    Args:
        rows: predictions by file, in order of time; at least one.
        path: ends in .png, .svg or .pdf.
        words: affect words of the checkpoint; their regions are drawn in the plane.

    Raises:
        Wav2SmallError: for another suffix, or without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ModuleNotFoundError as error:
        raise Wav2SmallError("a plot needs matplotlib: pip install 'wav2small[report]'") from error
    if path.suffix.lower() not in SUFFIXES:
        raise Wav2SmallError(f"{path}: a plot is saved as one of {', '.join(SUFFIXES)}")
    recordings: dict[str, list[Prediction]] = {}
    for file, prediction in rows:
        recordings.setdefault(file, []).append(prediction)
    names = short_names(list(recordings))
    means = np.stack([_mean(windows) for windows in recordings.values()])
    silent = [all(window.silent for window in windows) for windows in recordings.values()]
    strips = len(rows) > len(names) <= MAX_STRIPS

    height = 0.85 * len(names) + 1.2 if strips else 0.3 * len(names) + 1.4 if len(names) <= MAX_BARS else 0
    figure = Figure(figsize=(12.5, max(6.2, height)), dpi=120, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
    canvas: Any = FigureCanvasAgg(figure)
    sides: Any = figure.subfigures(1, 2)
    left, right = sides
    plane = left.subplots()
    plane.set_anchor("N")
    regions = _draw_plane(plane, means, words)
    if strips:
        for windows in recordings.values() if len(names) <= MAX_PATHS else []:
            path_of = np.array([[w.valence, w.arousal] for w in windows if not w.silent]).reshape(-1, 2)
            plane.plot(*path_of.T, "-", color=DOT_COLOR, alpha=0.25, lw=1)
        _draw_strips(right, names, list(recordings.values()))
    elif len(names) <= MAX_BARS:
        affect = [prediction.word or (SILENCE if prediction.silent else "") for _, prediction in rows]
        _draw_bars(right, names, means, silent, affect)
    else:
        _draw_histograms(right, means[~np.array(silent)] if not all(silent) else means)
    valence, arousal = means[:, 2], means[:, 0]
    heard = ~np.array(silent)
    size = 28 if len(names) <= MAX_LABELS else 12
    plane.scatter(valence[heard], arousal[heard], s=size, color=DOT_COLOR, alpha=0.8, lw=0, zorder=3)
    plane.scatter(valence[~heard], arousal[~heard], s=size, facecolor="none", edgecolor=GREY, lw=0.8, zorder=3)

    figure.draw_without_rendering()  # settles the layout, so that labels know what room there is
    order = sorted(_unusual_first(means), key=lambda i: silent[i])[:MAX_LABELS]
    written = place_labels(
        plane, canvas.get_renderer(), means[order][:, [2, 0]], [names[i] for i in order],
        [GREY if silent[i] else INK for i in order], means[:, [2, 0]], regions,
    )  # fmt: skip
    notes = ["dots: means of the windows"] if len(rows) > len(names) else []
    if written < len(names):
        notes.append(f"{len(names) - written} of {len(names)} files are not labelled")
    if any(silent):
        notes.append(f"hollow: silence ({sum(silent)})")
    plane.set_title("; ".join(notes), fontsize=9, color=GREY, loc="left")
    with whole_file(path) as temporary:
        figure.savefig(temporary)


def short_names(files: list[str]) -> list[str]:
    """Names of files without folder and suffix where these are not needed to tell them apart, cut to 28 characters.

    >>> short_names(["a/one.wav", "a/two.wav"])
    ['one', 'two']
    >>> short_names(["a/one.wav", "b/one.wav"])
    ['a/one', 'b/one']
    """
    parts = [Path(file).with_suffix("").parts for file in files]
    depth = 1
    while len({part[-depth:] for part in parts}) < len({*parts}):
        depth += 1
    names = ["/".join(part[-depth:]) for part in parts]
    return [name if len(name) <= MAX_NAME else f"…{name[1 - MAX_NAME :]}" for name in names]


def _mean(windows: "list[Prediction]") -> np.ndarray:
    """(3,): the mean of the windows that are not silent; of all, if all are."""
    mean: np.ndarray = np.mean(
        [w.as_array() for w in windows if not w.silent] or [w.as_array() for w in windows], axis=0
    )
    return mean


def _unusual_first(means: np.ndarray) -> list[int]:
    """Numbers of the recordings, those first whose arousal and valence are far from the others'."""
    points = means[:, [2, 0]]
    distance = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    return [int(i) for i in np.argsort(-distance, kind="stable")]


def _draw_plane(plane: "Axes", means: np.ndarray, words: AffectWords | None) -> list[Any]:
    """Axes of the plane, 0 to 1 or as far as the dots reach, and the affect words; returns the words' texts."""
    low = min(0.0, means[:, [0, 2]].min() - 0.03)
    high = max(1.0, means[:, [0, 2]].max() + 0.03)
    plane.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    plane.set_xlabel("valence: negative to positive", color=INK)
    plane.set_ylabel("arousal: calm to excited", color=INK)
    _clean(plane)
    if words is None:
        plane.axvline(0.5, color=LIGHT, lw=0.8, zorder=0)
        plane.axhline(0.5, color=LIGHT, lw=0.8, zorder=0)
        return []
    for valence, arousal in zip(words.valence, words.arousal, strict=True):
        plane.axvline(valence, color=LIGHT, lw=0.8, zorder=0)
        plane.axhline(arousal, color=LIGHT, lw=0.8, zorder=0)
    lefts, tops = (low, *words.valence), (*words.arousal, high)
    return [
        plane.annotate(
            word, (x, y), xytext=(4, -4), textcoords="offset points", ha="left", va="top", color="#9ca3af",
            fontsize=9, style="italic", zorder=2,
        )
        for y, row in zip(tops, REGIONS.values(), strict=True)
        for x, word in zip(lefts, row, strict=True)
    ]  # fmt: skip


def _draw_bars(figure: Any, names: list[str], means: np.ndarray, silent: list[bool], words: list[str]) -> None:
    """A group of three bars for each recording; the affect word stands at the right."""
    bars, rest = figure.subplots(2, 1, height_ratios=[len(names), max(MIN_ROWS - len(names), 0.01)])
    rest.set_axis_off()
    low, high = min(0.0, means.min()), max(1.0, means.max())
    for row, (values, quiet, word) in enumerate(zip(means, silent, words, strict=True)):
        for offset, label, value in zip((-0.27, 0.0, 0.27), LABELS, values, strict=True):
            bars.barh(row + offset, value, height=0.24, color=LIGHT if quiet else COLORS[label])
            if len(names) <= MAX_VALUES:
                bars.text(max(value, 0) + 0.01, row + offset, f"{value:.2f}", va="center", fontsize=6.5, color=GREY)
        bars.text(1.02, row, word, transform=bars.get_yaxis_transform(), va="center", fontsize=8.5,
                  color=GREY if quiet else INK, style="italic")  # fmt: skip
    bars.set(xlim=(low, high), ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)))
    bars.set_yticklabels(names, fontsize=8.5)
    for text, quiet in zip(bars.get_yticklabels(), silent, strict=True):
        text.set_color(GREY if quiet else INK)
    bars.tick_params(axis="y", length=0)
    bars.xaxis.grid(True, color=LIGHT, lw=0.6)
    bars.set_axisbelow(True)
    _clean(bars)
    bars.spines["left"].set_visible(False)
    _legend(bars)


def _draw_histograms(figure: Any, means: np.ndarray) -> None:
    """How often each value occurs, one histogram for each dimension, with its median."""
    panels = figure.subplots(3, 1, sharex=True)
    edges = np.linspace(min(0.0, means.min()), max(1.0, means.max()), 41)
    for panel, label, values in zip(panels, LABELS, means.T, strict=True):
        panel.hist(values, edges, color=COLORS[label])
        median = float(np.median(values))
        panel.axvline(median, color=INK, lw=1)
        panel.set_title(f"{label}: median {median:.2f}", fontsize=9, loc="left", color=INK)
        panel.set_ylabel("files", fontsize=8.5, color=GREY)
        panel.set_xlim(edges[0], edges[-1])
        _clean(panel)
    panels[-1].set_xlabel("prediction; silent files are left out", color=INK)


def _draw_strips(figure: Any, names: list[str], recordings: "list[list[Prediction]]") -> None:
    """One strip of curves over time for each recording, interrupted where it is silent."""
    strips = figure.subplots(len(names), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    highest, lowest = 1.0, 0.0
    for strip, name, windows in zip(strips, names, recordings, strict=True):
        middles = [(w.start + w.end) / 2 for w in windows]
        for label in LABELS:
            values = [np.nan if w.silent else getattr(w, label) for w in windows]
            lonely = {"marker": "o", "ms": 3} if len(windows) == 1 else {}
            strip.plot(middles, values, color=COLORS[label], lw=1.6, label=label, **lonely)
            lowest, highest = np.nanmin([lowest, *values]), np.nanmax([highest, *values])
        for window in windows:
            if window.silent:
                strip.axvspan(window.start, window.end, color=LIGHT, alpha=0.35, lw=0)
        quiet = all(w.silent for w in windows)
        strip.set_title(
            f"{name} (silent)" if quiet else name, fontsize=8.5, loc="left", pad=3, color=GREY if quiet else INK
        )
        strip.set_yticks([0, 0.5, 1])
        strip.yaxis.grid(True, color=LIGHT, lw=0.6)
        _clean(strip)
    strips[0].set_ylim(lowest - 0.03, highest + 0.03)
    strips[-1].set_xlabel("middle of the window, in s", color=INK)
    _legend(strips[0])


def _legend(axes: "Axes") -> None:
    """Which colour is which dimension, above the axes at the right."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=color, lw=4, label=label) for label, color in COLORS.items()]
    axes.legend(
        handles=handles, ncols=3, fontsize=8.5, loc="lower right", bbox_to_anchor=(1, 1), frameon=False,
        handlelength=1, columnspacing=1.2,
    )  # fmt: skip


def _clean(axes: "Axes") -> None:
    """No frame at the top and the right, small grey numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(LIGHT)
    axes.tick_params(labelsize=8, color=LIGHT, labelcolor=GREY)
