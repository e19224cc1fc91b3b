"""Markdown tables of scores, and the text of their cells; reports, cards and benchmarks share them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

UNKNOWN = "–"


def grid(header: Sequence[str], rows: Iterable[Sequence[str]], numeric: bool = False) -> str:
    """Lay out a Markdown table.

    Args:
        header: of the columns.
        rows: cells, as many as the header has.
        numeric: align all columns but the first to the right.
    """
    line = ["---", *["--:" if numeric else "---"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, line, *rows])


def interval(row: Mapping[str, Any], name: str) -> str:
    """Print a score of a report with its interval: `0.512 [0.480, 0.544]`."""
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.3f} [{low:.3f}, {high:.3f}]"


def verdict(passed: bool) -> str:
    """Print `pass` or, in bold, `fail`."""
    return "pass" if passed else "**fail**"


def judged(value: float | None, passed: bool | None) -> str:
    """Print a number with its verdict, or a dash where it is unknown."""
    return UNKNOWN if value is None or passed is None else f"{value:.3f} {verdict(passed)}"


def number(value: float | None) -> str:
    """Print a number with two digits, or a dash where it is unknown."""
    return UNKNOWN if value is None else f"{round(value, 2) + 0.0:.2f}"  # no -0.00


def triple(values: Sequence[float | None]) -> str:
    """Print arousal, dominance and valence in one cell, or one dash where all are unknown."""
    return UNKNOWN if all(value is None for value in values) else " / ".join(number(value) for value in values)
