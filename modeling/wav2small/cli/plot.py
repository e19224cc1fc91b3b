"""A picture of predictions: arousal, dominance and valence over time, and where they lie in the plane."""

from pathlib import Path

from ..atomic import whole_file
from ..inference.words import REGIONS, AffectWords
from ..models.errors import Wav2SmallError
from .formats import Row

MAX_FILES = 24
COLORS = {"valence": "#2e933c", "dominance": "#30638e", "arousal": "#d1495b"}
WIDTHS = {"valence": 4.5, "dominance": 3.0, "arousal": 1.5}  # the widest first, so that equal values stay visible
SUFFIXES = {".png", ".svg", ".pdf"}


def plot(rows: list[Row], path: Path, words: AffectWords | None = None) -> None:
    """Draw one strip a file (A/D/V over time) beside the arousal-valence plane, and save it.

    Args:
        rows: predictions by file, in order of time; at most 24 files.
        path: ends in .png, .svg or .pdf.
        words: of the checkpoint, whose regions are drawn in the plane.

    Raises:
        Wav2SmallError: for more files, another suffix, or without matplotlib.
    """
    try:
        from matplotlib import colormaps
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise Wav2SmallError("a plot needs matplotlib: pip install 'wav2small[report]'") from error
    if path.suffix.lower() not in SUFFIXES:
        raise Wav2SmallError(f"{path}: a plot is saved as one of {', '.join(sorted(SUFFIXES))}")
    files: dict[str, list] = {}
    for file, prediction in rows:
        files.setdefault(file, []).append(prediction)
    if len(files) > MAX_FILES:
        raise Wav2SmallError(f"{len(files)} files are too many for one plot: choose up to {MAX_FILES}")

    figure = Figure(figsize=(12, max(5.5, 0.75 * len(files) + 1)), layout="constrained")
    time_side, plane_side = figure.subfigures(1, 2, width_ratios=[1.15, 1])  # type: ignore[misc]
    strips = time_side.subplots(len(files), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    plane = plane_side.subplots()
    tints = colormaps["turbo"].resampled(len(files) + 2)
    for i, (strip, (file, predictions)) in enumerate(zip(strips, files.items(), strict=True)):
        middles = [(p.start + p.end) / 2 for p in predictions]
        for name, color in COLORS.items():
            width = WIDTHS[name]
            values = [getattr(p, name) for p in predictions]
            if len(predictions) == 1:  # one answer holds for the whole clip
                strip.hlines(values, predictions[0].start, predictions[0].end, color=color, lw=width, label=name)
            else:
                strip.plot(middles, values, "-", color=color, lw=width / 1.5, label=name)
        strip.set_title(Path(file).name, fontsize=8, loc="left", pad=2)
        strip.set(yticks=[0, 0.5, 1])
        strip.tick_params(labelsize=7)
        strip.grid(alpha=0.3)
        valence, arousal = [p.valence for p in predictions], [p.arousal for p in predictions]
        hollow = "none" if all(p.silent for p in predictions) else tints(i + 1)
        plane.plot(valence, arousal, "-", color=tints(i + 1), alpha=0.5, lw=1)
        plane.scatter(valence, arousal, s=36, facecolor=hollow, edgecolor=tints(i + 1), label=Path(file).name, zorder=3)
    lowest, highest = strips[0].get_ylim()  # shared by all
    strips[0].set_ylim(min(-0.05, lowest), max(1.05, highest))
    strips[-1].set_xlabel("time (s)")
    strips[0].legend(ncols=3, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    _dress(plane, words)
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _dress(plane, words: AffectWords | None) -> None:
    """Axes of the arousal-valence plane, and its regions with their words."""
    if words:
        for valence, arousal in zip(words.valence, words.arousal, strict=True):
            plane.axvline(valence, color="0.8", lw=0.8)
            plane.axhline(arousal, color="0.8", lw=0.8)
    (left, right), (bottom, top) = plane.get_xlim(), plane.get_ylim()
    left, right, bottom, top = min(0, left), max(1, right), min(0, bottom), max(1, top)
    plane.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    plane.set(xlabel="valence: negative to positive", ylabel="arousal: calm to excited")
    if words:
        columns, lines = (left, *words.valence, right), (bottom, *words.arousal, top)
        for i, row in enumerate(REGIONS.values()):
            for j, word in enumerate(row):
                x, y = (columns[j] + columns[j + 1]) / 2, (lines[i] + lines[i + 1]) / 2
                plane.text(x, y, word, ha="center", va="center", color="0.5", fontsize=10, style="italic")
    plane.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False)
