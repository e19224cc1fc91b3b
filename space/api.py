"""The endpoints that programs call: named, typed, answered in JSON; MCP tools, too, where Gradio serves them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import FileData

import batch as batches
import compare as comparison
from answer import Answer, answer
from recording import RATE, read, uploaded
from wav2small import Predictor, Wav2SmallError


@contextmanager
def audio_of(audio: Any) -> Iterator[tuple[Path, str]]:
    """Give the file of an upload and its name; what a caller can mend becomes an error that Gradio passes on."""
    try:
        with uploaded(str(audio["path"])) as file:
            yield file, str(audio.get("orig_name") or file.name)
    except Wav2SmallError as error:
        raise gr.Error(str(error), print_exception=False) from None


def add_endpoints(predictor: Predictor, models: list[str]) -> None:
    """Add the endpoints to the page that is being built.

    Args:
        predictor: that answers.
        models: that `compare` offers.
    """

    def predict(audio: FileData) -> dict[str, float | str | None]:
        """How a recording of speech sounds.

        Args:
            audio: WAV, FLAC, OGG or MP3; up to 10 minutes and 50 MB.

        Returns:
            arousal, dominance and valence, about 0 to 1; a word for them; whether speech was heard; seconds of audio
            and milliseconds of computation.
        """
        with audio_of(audio) as (file, name):
            return answer(predictor, file, name).as_dict()

    def timeline(audio: FileData, window: float = 5.0, hop: float = 1.0) -> list[dict[str, float | bool | str | None]]:
        """How a recording of speech sounds over time.

        Args:
            audio: WAV, FLAC, OGG or MP3; up to 10 minutes and 50 MB.
            window: length of a window, in s.
            hop: from the start of one window to the start of the next, in s; at least 0.1.

        Returns:
            For each window: start and end in s, arousal, dominance and valence, about 0 to 1, and a word.
        """
        with audio_of(audio) as (file, name):
            if not hop >= 0.1:
                raise Wav2SmallError(f"hop={hop}: it must be at least 0.1 s")
            return [one.as_dict() for one in predictor.timeline((read(file, name), RATE), window, hop)]

    def compare(audio: FileData, variants: list[str] | None = None) -> list[dict[str, float | int | str]]:
        """One recording of speech through several models.

        Args:
            audio: WAV, FLAC, OGG or MP3; up to 10 minutes and 50 MB.
            variants: up to 8 of "MODEL, BITS", where MODEL is "bundled" or an id on the Hub, and BITS is float, 8 bit
                or 4 bit; default: the first model in all three.

        Returns:
            For each: model, arousal, dominance, valence, bytes and milliseconds; or model and error.
        """
        with audio_of(audio) as (file, name):
            return comparison.compare(read(file, name), (variants or comparison.variants(models[:1]))[:8])

    def batch(files: list[FileData]) -> list[dict[str, float | str | None]]:
        """Many recordings of speech.

        Args:
            files: recordings, or zip files of recordings; up to 500 recordings.

        Returns:
            For each recording what `predict` gives; or its error.
        """
        try:
            *_, (_, results) = batches.run(predictor, [str(file["path"]) for file in files])  # type: ignore[index]
        except Wav2SmallError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return [one.as_dict() if isinstance(one, Answer) else {"error": str(one)} for one in results]

    for endpoint in (predict, timeline, compare, batch):
        gr.api(endpoint)
