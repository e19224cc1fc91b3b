"""Answers as HTML and SVG: gauges, the arousal-valence plane, curves over time, tables.

All colours come from page.css, for light and dark; each picture says in words what it shows.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from wav2small import Prediction
from wav2small.inference.words import REGIONS, AffectWords

AXES = {"arousal": ("calm", "excited"), "dominance": ("weak", "strong"), "valence": ("negative", "positive")}
PEAKS = 500  # of a waveform, from left to right
SCALE = "".join(f'<span class="scale" style="top:{top}%" aria-hidden="true">{y}</span>' for y, top in ((1, 8), (0, 92)))
PLANE = 300  # side of the plane, in its own units


def message(text: str) -> str:
    """What went wrong, or what is missing; a screen reader says it at once."""
    return f'<p class="message" role="alert">{escape(text)}</p>'


def note(text: str) -> str:
    """A remark below an answer."""
    return f'<p class="note">{escape(text)}</p>'


def gauges(prediction: Prediction, words: AffectWords | None) -> str:
    """Three labelled gauges from 0 to 1; a band on the track shows where ordinary speech lies."""
    return f'<div class="gauges">{"".join(_gauge(name, getattr(prediction, name), words) for name in AXES)}</div>'


def _gauge(name: str, value: float, words: AffectWords | None) -> str:
    low, high = AXES[name]
    thresholds = getattr(words, name, None)  # dominance has none
    band = ""
    if thresholds:
        left, right = thresholds
        band = f'<i class="band" style="left:{_percent(left)};width:{_percent(right - left)}"></i>'
    return (
        f'<div class="gauge {name}" role="meter" aria-label="{name}" aria-valuemin="0" aria-valuemax="1" '
        f'aria-valuenow="{_clip(value):.2f}" aria-valuetext="{value:.2f}, where 0 is {low} and 1 is {high}">'
        f"<p><b>{name.capitalize()}</b><b>{value:.2f}</b></p>"
        f'<div class="track">{band}<i class="fill" style="width:{_percent(value)}"></i></div>'
        f"<p><span>{low}</span><span>{high}</span></p></div>"
    )


def plane(points: Sequence[tuple[str, Prediction]], words: AffectWords | None, path: bool = False) -> str:
    """The arousal-valence plane with its regions in plain words, and a point for each answer.

    Args:
        points: (name, answer) pairs; up to nine are numbered.
        words: thresholds of the checkpoint; without them the plane has no regions.
        path: the answers follow each other, and a line leads from one to the next.
    """
    places = [(_x(one.valence), _y(one.arousal)) for _, one in points]
    several = 1 < len(points) <= 9 and not path
    dots = []
    for number, ((name, one), (x, y)) in enumerate(zip(points, places, strict=True), 1):
        title = f"{name}: arousal {one.arousal:.2f}, valence {one.valence:.2f}" + (f", {one.word}" if one.word else "")
        digit = f'<text x="{x:.1f}" y="{y + 4:.1f}">{number}</text>' if several else ""
        radius = 9 if several or len(points) == 1 else 5
        dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'
        dots.append(f'<g class="dot">{dot}{digit}<title>{escape(title)}</title></g>')
    line = ""
    if path:
        line = f'<polyline class="path" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
        dots = dots[-1:]
    listed = "; ".join(f"{name}: arousal {one.arousal:.2f}, valence {one.valence:.2f}" for name, one in points[:9])
    return (
        f'<figure class="plane"><svg viewBox="0 0 {PLANE} {PLANE}" role="img" '
        f'aria-label="Plane of arousal and valence. {escape(listed)}">{_regions(words)}{line}{"".join(dots)}</svg>'
        '<figcaption class="up">arousal: calm → excited</figcaption>'
        "<figcaption>valence: negative → positive</figcaption></figure>"
    )


def _regions(words: AffectWords | None) -> str:
    if words is None:
        return ""
    areas, labels = [], []
    columns, rows = _edges(words.valence), _edges(words.arousal)
    for (bottom, top), (level, row) in zip(rows, REGIONS.items(), strict=True):
        for i, ((left, right), word) in enumerate(zip(columns, row, strict=True)):
            x, y = PLANE * left, PLANE * (1 - top)
            middle = level == "middle" and i == 1
            size = f'width="{PLANE * (right - left):.1f}" height="{PLANE * (top - bottom):.1f}"'
            areas.append(f'<rect class="{"middle" if middle else "region"}" x="{x:.1f}" y="{y:.1f}" {size}/>')
            at = (4, PLANE * (left + right) / 2, PLANE - 4)[i]
            anchor = ("start", "middle", "end")[i]
            label = f'x="{at:.1f}" y="{PLANE * (1 - (bottom + top) / 2) + 4:.1f}" text-anchor="{anchor}"'
            labels.append(f'<text class="word" {label}>{word}</text>')
    return "".join(areas + labels)


def _edges(thresholds: tuple[float, float]) -> list[tuple[float, float]]:
    low, high = map(_clip, thresholds)
    return [(0.0, low), (low, high), (high, 1.0)]


def player(name: str, waveform: np.ndarray | None = None) -> str:
    """A player of audio that the browser has kept under this name; see page.js."""
    drawn = "" if waveform is None else f'<div class="strip wave" data-seek>{_waveform(waveform)}</div>'
    return f'{drawn}<audio controls data-kept="{name}" aria-label="recording"></audio>'


def timeline(windows: list[Prediction], samples: np.ndarray, seconds: float, name: str) -> str:
    """Waveform and curves over the same time; a click plays from there."""
    ticks = "".join(f'<span style="left:{_percent(t / seconds)}">{_clock(t)}</span>' for t in _ticks(seconds))
    return (
        f'<div class="timeline"><div class="strip both" data-seek title="click to play from here">'
        f'<div class="half">{_waveform(samples)}</div><div class="half">{_curves(windows, 0, seconds)}{SCALE}</div>'
        f'<i class="head"></i></div><div class="ticks" aria-hidden="true">{ticks}</div>{legend()}{player(name)}'
        f"<details><summary>All {len(windows)} windows as a table</summary>{window_table(windows)}</details></div>"
    )


def moving(windows: Sequence[Prediction], end: float, span: float) -> str:
    """The curves of the last `span` seconds before `end`, for live audio."""
    ticks = "".join(
        f'<span style="left:{_percent(1 - ago / span)}">{"now" if not ago else f"−{ago} s"}</span>'
        for ago in range(0, int(span) + 1, 10)
    )
    return (
        f'<div class="timeline"><div class="strip live">{_curves(windows, end - span, end)}{SCALE}</div>'
        f'<div class="ticks" aria-hidden="true">{ticks}</div>{legend()}</div>'
    )


def legend() -> str:
    """Which line is which."""
    return '<p class="legend">' + "".join(f'<span class="{name}"><i></i>{name}</span>' for name in AXES) + "</p>"


def _curves(windows: Sequence[Prediction], begin: float, end: float) -> str:
    """A line for each of A, D, V; it breaks where there is silence."""
    lines = []
    for name in AXES:
        steps, pen = [], "M"
        for window in windows:
            if window.silent:
                pen = "M"
                continue
            x = 1000 * ((window.start + window.end) / 2 - begin) / (end - begin)
            steps.append(f"{pen}{x:.1f},{100 - 100 * _clip(getattr(window, name)):.1f}")
            pen = "L"
        lines.append(f'<path class="{name}" d="{"".join(steps)}"/>')
    middles = (f"{name} {np.mean([getattr(w, name) for w in windows]):.2f}" for name in AXES if windows)
    label = f"Arousal, dominance and valence over time; on average {', '.join(middles)}"
    return _svg("curves", label, '<path class="grid" d="M0,0H1000M0,50H1000M0,100H1000"/>' + "".join(lines))


def _waveform(samples: np.ndarray) -> str:
    cells = np.array_split(np.abs(samples), min(PEAKS, len(samples)))
    peaks = 48 * np.array([cell.max() for cell in cells]) / max(0.05, float(np.abs(samples).max()))
    step = 1000 / len(peaks)
    bars = "".join(f"M{(i + 0.5) * step:.1f},{50 - peak:.1f}v{2 * peak:.1f}" for i, peak in enumerate(peaks))
    return _svg("waveform", "Waveform", f'<path d="{bars}"/>')


def _svg(kind: str, label: str, inside: str) -> str:
    shape = 'viewBox="0 0 1000 100" preserveAspectRatio="none"'
    return f'<svg class="{kind}" {shape} role="img" aria-label="{label}">{inside}</svg>'


def window_table(windows: Iterable[Prediction]) -> str:
    """Each window as a row."""
    rows = [
        (f"{_clock(w.start)} to {_clock(w.end)}", *(f"{getattr(w, name):.2f}" for name in AXES), w.word or "")
        for w in windows
    ]
    return table(["time", *AXES, "word"], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A table whose first column names its rows; numbers are set to the right."""
    body = []
    for first, *rest in rows:
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in rest)
        body.append(f'<tr><th scope="row">{escape(str(first))}</th>{cells}</tr>')
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" role="region" aria-label="{escape(caption or "table")}" tabindex="0">'
        f"<table>{title}<thead><tr>{columns}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
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
    return (
        f"{int(seconds // 60)}:{seconds % 60:04.1f}" if seconds % 1 else f"{int(seconds // 60)}:{int(seconds % 60):02}"
    )


def _ticks(seconds: float) -> list[float]:
    step = next((step for step in (2, 5, 10, 30, 60) if seconds / step <= 8), 120)
    return [float(t) for t in range(0, int(seconds) + 1, step)]
