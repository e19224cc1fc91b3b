"""A picture of predictions: recordings as dots in the arousal-valence plane, beside bars or curves over time."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..atomic import whole_file
from ..inference.words import REGIONS, AffectWords
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


def check_plot(path: Path) -> None:
    """Check that a picture can be drawn and saved.

    Raises:
        Wav2SmallError: for a suffix other than .png, .svg and .pdf, or without matplotlib.
    """
    if find_spec("matplotlib") is None:
        raise Wav2SmallError("a plot needs matplotlib: pip install 'wav2small[report]'")
    if path.suffix.lower() not in SUFFIXES:
        raise Wav2SmallError(f"{path}: a plot is saved as one of {', '.join(SUFFIXES)}")


def draw_plot(rows: list[Row], path: Path, words: AffectWords | None = None) -> None:
    """Draw and save a picture of predictions.

    Each recording is a dot in the arousal-valence plane. Beside the plane, recordings of one prediction each have a bar
    for each dimension (up to 24 recordings) or a histogram of each dimension (more); timelines of up to 12 recordings
    are curves over time, and the dot is the mean of the windows. Where nobody speaks it is grey and has no dot.

    Args:
        rows: predictions by file, in order of time; at least one.
        path: ends in .png, .svg or .pdf.
        words: affect words of the checkpoint; their regions are drawn in the plane.

    Raises:
        Wav2SmallError: for another suffix, or without matplotlib.
    """
    check_plot(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    recordings: dict[str, list[Prediction]] = {}
    for file, prediction in rows:
        recordings.setdefault(file, []).append(prediction)
    names = [name.replace("$", r"\$") for name in short_names(list(recordings))]  # it begins a formula
    means = np.stack([_mean(windows) for windows in recordings.values()])
    spoken = ~np.isnan(means[:, 0])
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
            path_of = np.array([[w.valence, w.arousal] for w in windows if w.spoken]).reshape(-1, 2)
            plane.plot(*path_of.T, "-", color=DOT_COLOR, alpha=0.25, lw=1)
        _draw_strips(right, names, list(recordings.values()))
    elif len(names) <= MAX_BARS:
        _draw_bars(right, names, means, [prediction for _, prediction in rows])
    else:
        _draw_histograms(right, means[spoken])
    points, labels = means[spoken][:, [2, 0]], [name for name, heard in zip(names, spoken, strict=True) if heard]
    size = 28 if len(names) <= MAX_LABELS else 12
    plane.scatter(*points.T, s=size, color=DOT_COLOR, alpha=0.8, lw=0, zorder=3)

    figure.draw_without_rendering()  # settles the layout, so that labels know what room there is
    order = _unusual_first(points)[:MAX_LABELS]
    written = place_labels(
        plane, canvas.get_renderer(), points[order], [labels[i] for i in order], [INK] * len(order), points, regions
    )
    parts = "turns" if rows[0][1].speaker else "windows"
    notes = [f"dots: means of the {parts}"] if len(rows) > len(names) else []
    if written < len(labels):
        notes.append(f"{len(labels) - written} of {len(labels)} files are not labelled")
    if len(labels) < len(names):
        notes.append(f"without speech, not drawn: {len(names) - len(labels)}")
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
    """(3,): the mean of the windows with speech; NaN if there are none."""
    spoken = [window.as_array() for window in windows if window.spoken]
    return np.mean(spoken, axis=0) if spoken else np.full(3, np.nan, np.float32)


def _unusual_first(points: np.ndarray) -> list[int]:
    """Numbers of the points (points, 2), those first that are far from the others."""
    if not len(points):
        return []
    distance = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    return [int(i) for i in np.argsort(-distance, kind="stable")]


def _limits(values: np.ndarray) -> tuple[float, float]:
    """0 to 1, or as far as the values reach; NaN does not count."""
    seen = [0.0, 1.0, *values[~np.isnan(values)]]
    return min(seen), max(seen)


def _draw_plane(plane: "Axes", means: np.ndarray, words: AffectWords | None) -> list[Any]:
    """Axes of the plane, 0 to 1 or as far as the dots reach, and the affect words; returns the words' texts."""
    low, high = _limits(means[:, [0, 2]] + np.array([[-0.03], [0.03]])[:, None])
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


def _draw_bars(figure: Any, names: list[str], means: np.ndarray, predictions: "list[Prediction]") -> None:
    """A group of three bars for each recording, with intervals of 80 %; the affect word stands at the right.

    What has no speech has no bar, and is grey.
    """
    bars, rest = figure.subplots(2, 1, height_ratios=[len(names), max(MIN_ROWS - len(names), 0.01)])
    rest.set_axis_off()
    inks = [GREY if quiet else INK for quiet in np.isnan(means[:, 0])]
    for row, (values, ink, one) in enumerate(zip(means, inks, predictions, strict=True)):
        bars.text(1.02, row, one.word or "", transform=bars.get_yaxis_transform(), va="center", fontsize=8.5, color=ink,
                  style="italic")  # fmt: skip
        if np.isnan(values).any():
            continue
        for offset, label, value in zip((-0.27, 0.0, 0.27), LABELS, values, strict=True):
            bars.barh(row + offset, value, height=0.24, color=COLORS[label])
            low, high = np.clip(one.interval(label), 0, 1)
            bars.plot([low, high], [row + offset] * 2, color=INK, lw=0.7, alpha=0.6)
            if len(names) <= MAX_VALUES:
                bars.text(
                    np.nanmax([value, high, 0]) + 0.01,
                    row + offset,
                    f"{value:.2f}",
                    va="center",
                    fontsize=6.5,
                    color=GREY,
                )
    bars.set(xlim=_limits(means), ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)))
    bars.set_yticklabels(names, fontsize=8.5)
    for text, ink in zip(bars.get_yticklabels(), inks, strict=True):
        text.set_color(ink)
    bars.tick_params(axis="y", length=0)
    bars.xaxis.grid(True, color=LIGHT, lw=0.6)
    bars.set_axisbelow(True)
    _clean(bars)
    bars.spines["left"].set_visible(False)
    _legend(bars)


def _draw_histograms(figure: Any, means: np.ndarray) -> None:
    """How often each value occurs, one histogram for each dimension, with its median."""
    panels = figure.subplots(3, 1, sharex=True)
    edges = np.linspace(*_limits(means), 41)
    for panel, label, values in zip(panels, LABELS, means.T, strict=True):
        panel.hist(values, edges, color=COLORS[label])
        if len(values):
            panel.axvline(np.median(values), color=INK, lw=1)
        median = f"median {np.median(values):.2f}" if len(values) else "no speech"
        panel.set_title(f"{label}: {median}", fontsize=9, loc="left", color=INK)
        panel.set_ylabel("files", fontsize=8.5, color=GREY)
        panel.set_xlim(edges[0], edges[-1])
        _clean(panel)
    panels[-1].set_xlabel("prediction; files without speech are left out", color=INK)


def _draw_strips(figure: Any, names: list[str], recordings: "list[list[Prediction]]") -> None:
    """One strip of curves over time for each recording, with intervals of 80 %, interrupted where nobody speaks."""
    strips = figure.subplots(len(names), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for strip, name, windows in zip(strips, names, recordings, strict=True):
        middles = [(w.start + w.end) / 2 for w in windows]
        for label in LABELS:
            values = [getattr(w, label) for w in windows]
            if windows[0].speaker:  # turns: each a line as long as it lasts
                starts, ends = ([getattr(w, edge) for w in windows] for edge in ("start", "end"))
                strip.hlines(values, starts, ends, color=COLORS[label], lw=2.5)
                for window, start, end in zip(windows, starts, ends, strict=True):
                    low, high = np.clip(window.interval(label), 0, 1)
                    strip.fill_between([start, end], low, high, color=COLORS[label], alpha=0.12, lw=0)
                continue
            lonely = {"marker": "o", "ms": 3} if len(windows) == 1 else {}
            strip.plot(middles, values, color=COLORS[label], lw=1.6, label=label, **lonely)
            low, high = np.clip([w.interval(label) for w in windows], 0, 1).T
            strip.fill_between(middles, low, high, color=COLORS[label], alpha=0.12, lw=0)
        for window in windows:
            if window.speaker and window.word:
                strip.text((window.start + window.end) / 2, 1, window.word, ha="center", va="top", fontsize=8,
                           color=INK if window.spoken else GREY, style="italic")  # fmt: skip
            if not window.spoken:
                strip.axvspan(window.start, window.end, color=LIGHT, alpha=0.35, lw=0)
        quiet = not any(w.spoken for w in windows)
        strip.set_title(
            f"{name} ({windows[0].word})" if quiet else name,
            fontsize=8.5,
            loc="left",
            pad=3,
            color=GREY if quiet else INK,
        )
        strip.set_yticks([0, 0.5, 1])
        strip.yaxis.grid(True, color=LIGHT, lw=0.6)
        _clean(strip)
    low, high = _limits(np.array([w.as_array() for windows in recordings for w in windows]))
    strips[0].set_ylim(low - 0.03, high + 0.03)
    known = any(w.errors for windows in recordings for w in windows)
    time = "s" if recordings[0][0].speaker else "middle of the window, in s"
    strips[-1].set_xlabel(f"{time}; bands: intervals of 80 %" if known else time, color=INK)
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
