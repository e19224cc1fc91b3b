"""Turns of a recording: read from a transcript or a diarisation, or found by the detector of speech."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..models import audio
from ..models.adv import SAMPLING_RATE
from ..models.errors import Wav2SmallError
from .speech import CHUNK, PEAK, THRESHOLD, load_silero

SUFFIXES = (".json", ".rttm", ".srt", ".TextGrid", ".vtt")
PAUSE = 0.5  # s without speech that end a turn
LEAST_TURN = 0.25  # s of speech in a turn
MARGIN = 0.1  # s that a turn begins before its speech, and ends after it
LONGEST_TURN = 60.0  # s; a longer one is cut


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a recording.

    Attributes:
        start: in s.
        end: in s, above `start`.
        speaker: who speaks, if known.
        text: what is said, if known.

    Raises:
        Wav2SmallError: if it does not end after its start.
    """

    start: float
    end: float
    speaker: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end < float("inf"):
            raise Wav2SmallError(f"a segment goes from {self.start} to {self.end} s: it must end after its start")


def read_segments(path: str | Path) -> list[Segment]:
    """Read the segments of a recording, in order of their start.

    Args:
        path: SRT or WebVTT (speakers as `<v Name>`, or as `[Name]: ` before the text), RTTM, TextGrid (each tier of
            intervals is a speaker), or JSON: a list of objects with `start`, `end` and perhaps `speaker` and `text`,
            or such a list under the key `segments`, as Whisper and WhisperX write it.

    Raises:
        Wav2SmallError: if the file is missing, of another kind, holds no segments, or a package is missing.
    """
    path = Path(path)
    readers: dict[str, Callable[[Path], list[Segment]]] = {
        ".json": _read_json,
        ".rttm": _read_rttm,
        ".srt": _read_subtitles,
        ".textgrid": _read_textgrid,
        ".vtt": _read_subtitles,
    }
    if path.suffix.lower() not in readers:
        raise Wav2SmallError(f"{path}: segments are read from {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise Wav2SmallError(f"{path}: no such file")
    try:
        segments = readers[path.suffix.lower()](path)
    except ModuleNotFoundError as error:
        raise Wav2SmallError(f"{path} needs {error.name} to be read: pip install 'wav2small[segments]'") from None
    except Exception as error:  # the packages that read these files have no common class of errors
        raise Wav2SmallError(f"{path} holds no segments that can be read: {error or type(error).__name__}") from None
    if not segments:
        raise Wav2SmallError(f"{path} holds no segments")
    return sorted(segments, key=lambda segment: (segment.start, segment.end))


def _read_json(path: Path) -> list[Segment]:
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = content["segments"] if isinstance(content, dict) else content
    return [Segment(float(row["start"]), float(row["end"]), row.get("speaker"), row.get("text")) for row in rows]


def _read_rttm(path: Path) -> list[Segment]:
    """Lines as `SPEAKER file 1 start duration <NA> <NA> speaker <NA> <NA>` (NIST RT-09)."""
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [line for line in lines if line[:1] == ["SPEAKER"]]
    return [Segment(float(row[3]), float(row[3]) + float(row[4]), row[7]) for row in rows]


def _read_subtitles(path: Path) -> list[Segment]:
    import webvtt

    captions = webvtt.from_srt(str(path)) if path.suffix.lower() == ".srt" else webvtt.read(str(path))
    segments = []
    for caption in captions.captions:
        speaker, text = caption.voice, " ".join(caption.text.split())
        if not speaker and text.startswith("[") and "]:" in text:
            speaker, text = (part.strip() for part in text[1:].split("]:", 1))
        start, end = (60 * (60 * t.hours + t.minutes) + t.seconds + t.milliseconds / 1000
                      for t in (caption.start_time, caption.end_time))  # fmt: skip
        segments.append(Segment(start, end, speaker or None, text or None))
    return segments


def _read_textgrid(path: Path) -> list[Segment]:
    from praatio import textgrid

    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    tiers = [tier for tier in grid.tiers if isinstance(tier, textgrid.IntervalTier)]
    return [Segment(start, end, tier.name, text) for tier in tiers for start, end, text in tier.entries]


def find_turns(source: Any) -> list[Segment]:
    """Cut a recording into turns: stretches of speech between pauses of at least .5 s. Memory does not grow with it.

    Args:
        source: one recording, as for the predictor.

    Raises:
        Wav2SmallError: if the recording cannot be read, or Silero VAD (the extra "speech") is not installed.
    """
    detector, step = load_silero(), CHUNK / SAMPLING_RATE
    turns: list[Segment] = []
    first, last, spoken, i = 0, 0, 0, -1  # chunks of the turn that is open: its first, its last with speech, how many
    for i, chunk in enumerate(_chunks(source)):
        if detector.process_samples(chunk.tolist()) > THRESHOLD:
            first = first if spoken else i
            last, spoken = i, spoken + 1
        if spoken and ((i - last) * step >= PAUSE or (i - first) * step >= LONGEST_TURN):
            turns += _turn(first, last, spoken, i)
            spoken = 0
    return turns + _turn(first, last, spoken, i)


def _turn(first: int, last: int, spoken: int, end: int) -> list[Segment]:
    step = CHUNK / SAMPLING_RATE
    if spoken * step < LEAST_TURN:
        return []
    return [Segment(max(0.0, first * step - MARGIN), min((last + 1) * step + MARGIN, (end + 1) * step))]


def _chunks(source: Any) -> Iterator[np.ndarray]:
    """Chunks of 32 ms, brought to the level of the detector by the loudest sample so far; a rest is left out."""
    rest, peak = np.zeros(0, np.float32), 1e-3
    for block in audio.stream_audio(source, SAMPLING_RATE):
        rest = np.concatenate([rest, block])
        peak = max(peak, float(np.abs(block).max(initial=0)))
        whole = len(rest) // CHUNK * CHUNK
        yield from rest[:whole].reshape(-1, CHUNK) * (PEAK / peak)
        rest = rest[whole:]
