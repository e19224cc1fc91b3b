"""The endpoints for programs: named, typed, with JSON results; they are MCP tools too, where Gradio serves those."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import FileData

from wav2small import Predictor, Wav2SmallError
from wav2small.models.adv import LEAST_SECONDS, SAMPLING_RATE

from . import batch as batches
from . import compare as comparison
from .analysis import Analysis, analyse
from .limits import AT_ONCE, MAX_PREDICTED, MAX_VARIANTS, MAX_WINDOW
from .recording import read
from .uploads import uploaded

PART = 10 * SAMPLING_RATE  # samples that are predicted between two looks at the caller
Rows = list[dict[str, float | bool | str | None]]


@contextmanager
def errors_for_caller() -> Iterator[None]:
    """Turn an error that the caller can fix into one that Gradio passes on."""
    try:
        yield
    except Wav2SmallError as error:
        raise gr.Error(str(error), print_exception=False) from None


@contextmanager
def upload(audio: Any) -> Iterator[tuple[Path, str]]:
    """Open an upload: its file, and the name that its owner gave it."""
    with errors_for_caller(), uploaded(str(audio["path"])) as file:
        yield file, str(audio.get("orig_name") or file.name)


def add_endpoints(predictor: Predictor, models: list[str]) -> None:
    """Add the endpoints to the page that is being built.

    Args:
        predictor: the model of all endpoints but `compare`.
        models: that `compare` offers.
    """

    def predict(audio: FileData) -> dict[str, float | str | None]:
        """Predict how a recording of speech sounds.

        Args:
            audio: WAV, FLAC, OGG or MP3; up to 10 minutes and 50 MB.

        Returns:
            arousal, dominance and valence, about 0 to 1; a word for them; whether speech was heard; seconds of audio
            and milliseconds of computation.
        """
        with upload(audio) as (file, name):
            return analyse(predictor, file, name).as_dict()

    def timeline(audio: FileData, window: float = 5.0, hop: float = 1.0) -> Iterator[Rows]:
        """Predict how a recording of speech sounds over time.

        Args:
            audio: WAV, FLAC, OGG or MP3; up to 10 minutes and 50 MB.
            window: length of a window, in s; up to 30.
            hop: from the start of one window to the start of the next, in s; at least 0.1, and so that all windows
                together last up to an hour.

        Returns:
            For each window: start and end in s, arousal, dominance and valence, about 0 to 1, and a word.
        """
        with upload(audio) as (file, name):
            samples = read(file, name)
            check_timeline(len(samples) / SAMPLING_RATE, window, hop)
            rows: Rows = []
            stream = predictor.stream(window, hop)
            for start in range(0, len(samples), PART):  # Gradio asks for the next part while the caller is there
                rows += [row.as_dict() for row in stream.push(samples[start : start + PART])]
                yield rows
            yield rows + [row.as_dict() for row in stream.flush()]

    def compare(audio: FileData, variants: list[str] | None = None) -> list[dict[str, float | int | str | None]]:
        """Predict one recording of speech with several models.

        Args:
            audio: WAV, FLAC, OGG or MP3; up to 10 minutes and 50 MB.
            variants: up to 8 of "MODEL, BITS", where MODEL is the name of a bundled checkpoint or an id on the Hub, and
                BITS is float, 8 bit or 4 bit; default: the first model in all three.

        Returns:
            For each: model, arousal, dominance, valence, word, bytes and milliseconds; or model and error.
        """
        with upload(audio) as (file, name):
            names = variants or comparison.variants_of(models[:1])
            return comparison.compare(read(file, name), names[:MAX_VARIANTS], models)

    def batch(files: list[FileData]) -> Iterator[list[dict[str, float | str | None]]]:
        """Predict many recordings of speech.

        Args:
            files: recordings, or zip files of recordings; up to 500 recordings.

        Returns:
            For each recording what `predict` gives; or its error.
        """
        with errors_for_caller():
            for _, outcomes in batches.run(predictor, [str(file["path"]) for file in files]):  # type: ignore[index]
                yield [one.as_dict() if isinstance(one, Analysis) else {"error": str(one)} for one in outcomes]

    for endpoint in (predict, timeline, compare, batch):
        gr.api(endpoint, **AT_ONCE)


def check_timeline(seconds: float, window: float, hop: float) -> None:
    """Make sure that a timeline is not too much work.

    Raises:
        Wav2SmallError: if the windows are too long, or too many.
    """
    if not LEAST_SECONDS <= window <= MAX_WINDOW:
        raise Wav2SmallError(f"window={window}: it must be {LEAST_SECONDS} to {MAX_WINDOW:g} s")
    if not hop >= LEAST_SECONDS:
        raise Wav2SmallError(f"hop={hop}: it must be at least {LEAST_SECONDS} s")
    predicted = max(1.0, (seconds - window) / hop) * window
    if predicted > MAX_PREDICTED:
        least = hop * predicted / MAX_PREDICTED
        raise Wav2SmallError(f"hop={hop}: with windows of {window:g} s it must be at least {least:.2f} s here")
