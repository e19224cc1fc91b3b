"""Predictions as HTML and SVG: gauges, the arousal-valence plane, curves over time, tables.

All colours come from page.css, for light and dark; each picture says in words what it shows.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from wav2small import Prediction
from wav2small.inference.words import REGIONS, AffectWords
from wav2small.models.adv import LABELS

ENDS = {"arousal": ("calm", "excited"), "dominance": ("weak", "strong"), "valence": ("negative", "positive")}
PEAKS = 500  # bars of a waveform
LEAST_RANGE, MARGIN = 0.2, 0.05  # of curves
PLANE = 300  # side of the plane, in SVG units
MAX_SPOKEN = 9  # points of the plane that a screen reader reads


def message(text: str) -> str:
    """What went wrong, or what is missing; a screen reader says it at once."""
    return f'<p class="message" role="alert">{escape(text)}</p>'


def number(value: float, form: str = ".2f") -> str:
    """A number as text; a dash for NaN, where nobody speaks."""
    return "–" if math.isnan(value) else f"{value:{form}}"


def note(text: str) -> str:
    """A remark below a prediction."""
    return f'<p class="note">{escape(text)}</p>'


def gauges(prediction: Prediction, words: AffectWords | None) -> str:
    """Three labelled gauges from 0 to 1; marks on the track are explained by `key`."""
    return f'<div class="gauges">{"".join(_gauge(label, prediction, words) for label in LABELS)}</div>'


def key(prediction: Prediction, words: AffectWords | None) -> str:
    """What the marks on the gauges are: the range of ordinary speech, and the interval of 80 %, if there are any."""
    marks = []
    if words:
        marks.append('<i class="swatch"></i> ordinary speech: 8 of 10 clips of people who read')
    if prediction.errors:
        marks.append('<i class="line"></i> where 8 of 10 ratings of such a clip lie')
    return f'<p class="note">{"<br/>".join(marks)}</p>' if marks else ""


def _gauge(label: str, prediction: Prediction, words: AffectWords | None) -> str:
    value, (low, high) = getattr(prediction, label), ENDS[label]
    thresholds = getattr(words, label, None)  # dominance has none
    ordinary = ""
    if thresholds:
        left, right = thresholds
        ordinary = f'<i class="ordinary" style="left:{_percent(left)};width:{_percent(right - left)}"></i>'
    bottom, top = prediction.interval(label)
    interval = (
        ""
        if math.isnan(bottom)
        else f'<i class="interval" style="left:{_percent(bottom)};right:{_percent(1 - top)}"></i>'
    )
    return (
        f'<div class="gauge {label}" role="meter" aria-label="{label}" aria-valuemin="0" aria-valuemax="1" '
        f'aria-valuenow="{_clip(value):.2f}" aria-valuetext="{number(value)}, where 0 is {low} and 1 is {high}">'
        f"<p><b>{label.capitalize()}</b><b>{number(value)}</b></p>"
        f'<div class="track">{ordinary}<i class="bar" style="width:{_percent(value)}"></i>{interval}</div>'
        f"<p><span>{low}</span><span>{high}</span></p></div>"
    )


def plane(
    points: Sequence[tuple[str, Prediction]], words: AffectWords | None, *, numbered: bool = False, path: bool = False
) -> str:
    """The arousal-valence plane with its regions and their affect words, and a point for each prediction.

    Args:
        points: (name, prediction) pairs; those without speech have no place in the plane, but keep their number.
        words: thresholds of the checkpoint; without them the plane has no regions.
        numbered: the points show their number, from 1.
        path: the predictions follow each other: a line joins them, and only the last has a point.
    """
    placed = [(i, name, one) for i, (name, one) in enumerate(points, 1) if one.spoken]
    places = [(_x(one.valence), _y(one.arousal)) for _, _, one in placed]
    dots = []
    for (i, name, one), (x, y) in zip(placed, places, strict=True):
        title = _sentence(name, one) + (f", {one.word}" if one.word else "")
        digit = f'<text x="{x:.1f}" y="{y + 4:.1f}">{i}</text>' if numbered else ""
        radius = 9 if numbered or len(points) == 1 else 5
        dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'
        dots.append(f'<g class="dot">{dot}{digit}<title>{escape(title)}</title></g>')
    line = ""
    if path:
        line = f'<polyline class="path" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
        dots = dots[-1:]
    areas, labels = _regions(words)  # labels come last: no dot covers a word
    spoken = "; ".join(_sentence(name, one) for _, name, one in placed[:MAX_SPOKEN])
    return (
        f'<figure class="plane"><svg viewBox="0 0 {PLANE} {PLANE}" role="img" '
        f'aria-label="Plane of arousal and valence. {escape(spoken)}">{areas}{line}{"".join(dots)}{labels}</svg>'
        '<figcaption class="up">arousal: calm → excited</figcaption>'
        "<figcaption>valence: negative → positive</figcaption></figure>"
    )


def _sentence(name: str, one: Prediction) -> str:
    return f"{name}: arousal {one.arousal:.2f}, valence {one.valence:.2f}"


def _regions(words: AffectWords | None) -> tuple[str, str]:
    if words is None:
        return "", ""
    areas, labels = [], []
    columns, rows = _intervals(words.valence), _intervals(words.arousal)
    for (bottom, top), (level, row) in zip(rows, REGIONS.items(), strict=True):
        for i, ((left, right), word) in enumerate(zip(columns, row, strict=True)):
            x, y = PLANE * left, PLANE * (1 - top)
            middle = level == "middle" and i == 1
            size = f'width="{PLANE * (right - left):.1f}" height="{PLANE * (top - bottom):.1f}"'
            areas.append(f'<rect class="{"middle" if middle else "region"}" x="{x:.1f}" y="{y:.1f}" {size}/>')
            text_x = (4, PLANE * (left + right) / 2, PLANE - 4)[i]
            anchor = ("start", "middle", "end")[i]
            place = f'x="{text_x:.1f}" y="{PLANE * (1 - (bottom + top) / 2) + 4:.1f}" text-anchor="{anchor}"'
            labels.append(f'<text class="word" {place}>{word}</text>')
    return "".join(areas), "".join(labels)


def _intervals(thresholds: tuple[float, float]) -> list[tuple[float, float]]:
    low, high = map(_clip, thresholds)
    return [(0.0, low), (low, high), (high, 1.0)]


def player(kept: str, samples: np.ndarray | None = None) -> str:
    """A player of a recording that the browser has kept under this name, see page.js; with a waveform if given."""
    strip = "" if samples is None else f'<div class="strip wave" data-seek>{_waveform(samples)}</div>'
    return f'{strip}<audio controls data-kept="{kept}" aria-label="recording"></audio>'


def timeline(windows: list[Prediction], samples: np.ndarray, seconds: float, kept: str) -> str:
    """Waveform and curves over the same time; a click plays from there."""
    ticks = "".join(f'<span style="left:{_percent(t / seconds)}">{_clock(t)}</span>' for t in _ticks(seconds))
    return (
        f'<div class="timeline"><div class="strip both" data-seek title="click to play from here">'
        f'<div class="half">{_waveform(samples)}</div><div class="half">{_curves(windows, 0, seconds)}</div>'
        f'<i class="playhead"></i></div><div class="ticks" aria-hidden="true">{ticks}</div>{legend()}{player(kept)}'
        f"<details><summary>All {len(windows)} windows as a table</summary>{window_table(windows)}</details></div>"
    )


def live_curves(predictions: Sequence[Prediction], end: float, span: float) -> str:
    """The curves of the last `span` seconds before `end`, for live audio."""
    ticks = "".join(
        f'<span style="left:{_percent(1 - ago / span)}">{"now" if not ago else f"−{ago} s"}</span>'
        for ago in range(0, int(span) + 1, 10)
    )
    return (
        f'<div class="timeline"><div class="strip live">{_curves(predictions, end - span, end)}</div>'
        f'<div class="ticks" aria-hidden="true">{ticks}</div>{legend()}</div>'
    )


def legend() -> str:
    """Which line is which."""
    return '<p class="legend">' + "".join(f'<span class="{label}"><i></i>{label}</span>' for label in LABELS) + "</p>"


def _curves(windows: Sequence[Prediction], start: float, end: float) -> str:
    """A line for each of arousal, dominance and valence, interrupted where nobody speaks; it fills the height."""
    spoken = np.array([window.as_array() for window in windows if window.spoken]).clip(0, 1)
    low, high = (spoken.min() - MARGIN, spoken.max() + MARGIN) if len(spoken) else (0.0, 1.0)
    wanting = max(0.0, LEAST_RANGE - (high - low)) / 2
    low, high = low - wanting, high + wanting
    lines = []
    for label in LABELS:
        steps, command = [], "M"  # of an SVG path: move, without drawing
        for window in windows:
            if not window.spoken:
                command = "M"
                continue
            x = 1000 * ((window.start + window.end) / 2 - start) / (end - start)
            steps.append(f"{command}{x:.1f},{100 * (high - _clip(getattr(window, label))) / (high - low):.1f}")
            command = "L"  # draw a line
        lines.append(f'<path class="{label}" d="{"".join(steps)}"/>')
    means = (
        (f"{label} {mean:.2f}" for label, mean in zip(LABELS, spoken.mean(axis=0), strict=True)) if len(spoken) else ()
    )
    title = f"Arousal, dominance and valence over time; on average {', '.join(means)}"
    scale = "".join(
        f'<span class="scale" style="top:{top}%" aria-hidden="true">{value:.2f}</span>'
        for value, top in ((high, 8), (low, 92))
    )
    return _svg("curves", title, '<path class="grid" d="M0,0H1000M0,50H1000M0,100H1000"/>' + "".join(lines)) + scale


def _waveform(samples: np.ndarray) -> str:
    parts = np.array_split(np.abs(samples), min(PEAKS, len(samples)))
    peaks = 48 * np.array([part.max() for part in parts]) / max(0.05, float(np.abs(samples).max()))
    step = 1000 / len(peaks)
    bars = "".join(f"M{(i + 0.5) * step:.1f},{50 - peak:.1f}v{2 * peak:.1f}" for i, peak in enumerate(peaks))
    return _svg("waveform", "Waveform", f'<path d="{bars}"/>')


def _svg(kind: str, spoken: str, content: str) -> str:
    frame = 'viewBox="0 0 1000 100" preserveAspectRatio="none"'
    return f'<svg class="{kind}" {frame} role="img" aria-label="{spoken}">{content}</svg>'


def window_table(windows: Iterable[Prediction]) -> str:
    """Each window as a row."""
    rows = [
        (f"{_clock(w.start)} to {_clock(w.end)}", *(number(getattr(w, label)) for label in LABELS), w.word or "")
        for w in windows
    ]
    return table(["time", *LABELS, "word"], rows)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A table whose first column names its rows; numbers are right-aligned."""
    body = []
    for first, *rest in rows:
        columns = "".join(f"<td>{escape(str(value))}</td>" for value in rest)
        body.append(f'<tr><th scope="row">{escape(str(first))}</th>{columns}</tr>')
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" role="region" aria-label="{escape(caption or "table")}" tabindex="0">'
        f"<table>{title}<thead><tr>{names}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))


def _percent(value: float) -> str:
    return f"{100 * _clip(value):.1f}%"


def _x(valence: float) -> float:
    return PLANE * _clip(valence)


def _y(arousal: float) -> float:
    return PLANE * (1 - _clip(arousal))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}:{rest:04.1f}" if rest % 1 else f"{minutes:.0f}:{rest:02.0f}"


def _ticks(seconds: float) -> list[float]:
    step = next((step for step in (2, 5, 10, 30, 60) if seconds / step <= 8), 120)
    return [float(t) for t in range(0, int(seconds) + 1, step)]
