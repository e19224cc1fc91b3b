"""One recording -> rows, in the way that the options of `wav2small predict` ask for."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from ..inference.prediction import Prediction
from ..inference.predictor import Predictor
from ..inference.segments import Segment, find_turns
from ..models.audio import Channel, count_channels

# the whole, windows of (window, hop) in s, given segments, or turns cut at pauses
Way = Literal["whole", "turns"] | tuple[float, float] | list[Segment]


def predict_source(predictor: Predictor, source: Any, way: Way, split: bool, show: bool) -> list[Prediction]:
    """Predict one recording.

    Args:
        predictor: the model.
        source: of the recording, a path or bytes.
        way: how it is cut.
        split: take each channel for a speaker of its own.
        show: show a progress bar, if stderr is a terminal and the source is a file.

    Returns:
        The rows in order of time.
    """
    if split:
        rows = []
        for number in range(1, count_channels(source) + 1):
            for row in predict_source(predictor, Channel(source, number), way, split=False, show=False):
                rows.append(replace(row, speaker=f"channel {number}"))
        return sorted(rows, key=lambda row: row.start)
    if way == "whole":
        return [predictor(source)]
    segments = find_turns(source) if way == "turns" else way
    with watched(source, show) as stream:
        if isinstance(segments, list):
            return predictor.segments(stream, segments)
        return predictor.timeline(stream, *segments)


@contextmanager
def watched(source: Any, show: bool) -> Iterator[Any]:
    """A file, whose reading moves a progress bar; any other source as it is."""
    if not (show and sys.stderr.isatty() and isinstance(source, str) and os.path.isfile(source)):  # noqa: PTH113 long
        yield source
        return
    from rich.console import Console
    from rich.progress import open as watch

    with watch(source, "rb", description="predicting", console=Console(stderr=True), transient=True) as file:
        yield file
