"""The tab Live: the microphone streams, and the curves move with it."""

from collections import deque
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import gradio as gr
import numpy as np

from wav2small import Prediction, Predictor, Wav2SmallError
from wav2small.models.audio import open_audio

from . import pictures
from .limits import BLOCKS, MAX_BLOCK_SECONDS, MAX_LIVE_RATE
from .models import Models
from .uploads import uploaded

HOP = 0.25  # s, from one block of the microphone to the next
WINDOW = 3.0  # s of audio in each prediction; less at the start
MIN_WINDOW = 0.5  # s, before the first prediction
SPAN = 30.0  # s that the curves show
PATH_POINTS = 20  # newest predictions that the plane shows
EMPTY = '<p class="empty">Press Record and speak; the curves start at once.</p>'


@dataclass
class Session:
    """What is kept of a microphone: the last 3 s of audio, and the predictions of the last 30 s.

    Attributes:
        rate: of the microphone, in Hz.
        recent: (samples,) float32, at most 3 s.
        seconds: of audio received in all.
        predictions: one per block; start and end are the time at which its audio ended.
    """

    rate: int = 0
    recent: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    seconds: float = 0.0
    predictions: deque[Prediction] = field(default_factory=lambda: deque(maxlen=int(SPAN / HOP)))


def push(predictor: Predictor, session: Session, block: np.ndarray, rate: int) -> Session:
    """Add the next block (samples,) of the microphone, and predict the last 3 s."""
    if rate != session.rate:
        session = Session(rate)
    session.recent = np.concatenate([session.recent, block])[-int(WINDOW * rate) :]
    session.seconds += len(block) / rate
    if len(session.recent) >= MIN_WINDOW * rate:
        prediction = predictor((session.recent, rate))
        now = session.seconds
        session.predictions.append(replace(prediction, start=now, end=now))
    return session


def render(session: Session, predictor: Predictor) -> str:
    """The newest prediction as gauges, its path through the plane, and the curves."""
    if not session.predictions:
        return EMPTY
    newest = session.predictions[-1]
    word = newest.word or "" if newest.spoken else "waiting for speech"
    path = [("now", one) for one in session.predictions if one.spoken][-PATH_POINTS:]
    plane = pictures.plane(path, predictor.words, path=True)
    return (
        f'<section class="result {"" if newest.spoken else "muted"}" aria-label="live prediction">'
        f'<p class="verdict"><strong>{word}</strong></p>'
        f'<div class="pair"><div>{pictures.gauges(newest, predictor.words)}'
        f"{pictures.key(newest, predictor.words)}</div>{plane}</div>"
        f"{pictures.live_curves(session.predictions, session.seconds, SPAN)}</section>"
    )


def predict_block(models: Models, path: str | None, session: Session, model: str) -> tuple[str, Session]:
    """Predict one block of the microphone; its file is deleted at once."""
    predictor = models[model]
    if path is None:
        return render(session, predictor), session
    try:
        with uploaded(path) as file:
            block, rate = read_block(file)
        session = push(predictor, session, block, rate)
    except Wav2SmallError as error:
        return pictures.message(str(error)), session
    return render(session, predictor), session


def read_block(file: Path) -> tuple[np.ndarray, int]:
    """Read a block of the microphone: (samples,) float32, at its own rate, and the rate in Hz.

    Raises:
        Wav2SmallError: if it is no audio, or more than a microphone gives.
    """
    rate, blocks = open_audio(file)
    first, second = next(blocks, None), next(blocks, None)
    if first is None or second is not None or rate > MAX_LIVE_RATE or len(first) > MAX_BLOCK_SECONDS * rate:
        raise Wav2SmallError(f"a microphone gives up to {MAX_BLOCK_SECONDS:g} s at once, at up to {MAX_LIVE_RATE} Hz")
    return first.reshape(len(first), -1).mean(axis=1), rate


def tab(models: Models) -> None:
    """Lay out the tab."""
    session = gr.State(Session())
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            microphone = gr.Audio(sources=["microphone"], type="filepath", streaming=True, label="Your microphone")
            gr.Markdown(
                "Each prediction covers the last 3 s. Older audio is not kept. Tell everybody who can be heard: "
                "the EU AI Act asks for it (Article 50(3))."
            )
        with gr.Column(scale=3, min_width=320):
            result = gr.HTML(EMPTY)
    microphone.start_recording(Session, None, session, api_visibility="private", queue=False)
    microphone.stream(
        partial(predict_block, models), [microphone, session, models.chooser], [result, session],
        stream_every=HOP, concurrency_limit=BLOCKS, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
