"""Labels beside the dots of a plot, so that no two overlap; dots without room for a label stay unlabelled."""

from collections.abc import Sequence
from math import cos, pi, sin
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase

Box = tuple[float, float, float, float]  # left, bottom, right, top, in pixels

FONT_SIZE = 8.0
DISTANCES = (7.0, 16.0, 28.0)  # from a dot to its label, in points; a longer one is drawn as a line
DIRECTIONS = 12
PARTS = (0.2, 0.4, 0.6, 0.8)  # of that line, where it must not cross another label
BACKGROUND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.3}  # of a label, over lines
DOT = 4.0  # radius that labels keep free around each dot, in points


def place_labels(
    axes: "Axes",
    renderer: "RendererBase",
    points: np.ndarray,
    names: Sequence[str],
    colors: Sequence[str],
    dots: np.ndarray,
    texts: Sequence[Any] = (),
) -> int:
    """Write names beside points, the first of them first, where they overlap nothing; return how many were written.

    Args:
        axes: with its final size and limits.
        renderer: of the figure, which knows the size of a text.
        points: (labels, 2) x and y of the dots to label, the most important first.
        names: label of each of these.
        colors: of each label.
        dots: (dots, 2) x and y of all dots, which no label covers.
        texts: other texts in the axes, which no label covers.
    """
    scale = axes.figure.dpi / 72  # pixels in a point
    frame = axes.get_window_extent(renderer)
    inside: Box = (frame.x0 + 2, frame.y0 + 2, frame.x1 - 2, frame.y1 - 2)
    radius = DOT * scale
    boxes: list[Box] = [(x - radius, y - radius, x + radius, y + radius) for x, y in axes.transData.transform(dots)]
    boxes += [tuple(text.get_window_extent(renderer).extents) for text in texts]
    labels: list[Box] = []
    for (x, y), name, color in zip(axes.transData.transform(points), names, colors, strict=True):
        text = axes.text(0, 0, name, fontsize=FONT_SIZE, color=color, va="center", ha="center", zorder=4)
        extent = text.get_window_extent(renderer)
        text.remove()
        found = _free_place(x, y, extent.width + 2, extent.height, scale, boxes, labels, inside)
        if found is None:
            continue
        centre, distance = found
        line = {"arrowstyle": "-", "color": color, "lw": 0.5, "alpha": 0.6, "shrinkA": 0, "shrinkB": 3}
        axes.annotate(
            name,
            tuple(axes.transData.inverted().transform((x, y))),
            xytext=((centre[0] - x) / scale, (centre[1] - y) / scale),
            textcoords="offset points", fontsize=FONT_SIZE, color=color, ha="center", va="center", zorder=4,
            arrowprops=line if distance > DISTANCES[0] else None, bbox=BACKGROUND,
        )  # fmt: skip
        labels.append(_box(centre, extent.width + 2, extent.height))
    return len(labels)


def _free_place(
    x: float,
    y: float,
    width: float,
    height: float,
    scale: float,
    boxes: Sequence[Box],
    labels: Sequence[Box],
    inside: Box,
) -> tuple[tuple[float, float], float] | None:
    """The centre of a free place for a label near a dot, and its distance, in points; `None` if there is none."""
    for distance in DISTANCES:
        for step in range(DIRECTIONS):
            angle = 2 * pi * step / DIRECTIONS
            right, up = cos(angle), sin(angle)
            # the nearest edge of the label, not its centre, has this distance
            centre = (x + right * (distance * scale + width / 2), y + up * (distance * scale + height / 2))
            box = _box(centre, width, height)
            within = box[0] >= inside[0] and box[1] >= inside[1] and box[2] <= inside[2] and box[3] <= inside[3]
            crossed = any(_overlap(_line_box(x, y, centre, part), label) for part in PARTS for label in labels)
            if within and not crossed and not any(_overlap(box, other) for other in (*boxes, *labels)):
                return centre, distance
    return None


def _box(centre: tuple[float, float], width: float, height: float) -> Box:
    x, y = centre
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _line_box(x: float, y: float, end: tuple[float, float], part: float) -> Box:
    """A point on the line from a dot to its label."""
    return _box((x + part * (end[0] - x), y + part * (end[1] - y)), 1, 1)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
