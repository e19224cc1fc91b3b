"""The tab Live: the microphone streams, and the curves move with it."""

from collections import deque
from dataclasses import dataclass, field, replace
from functools import partial

import gradio as gr
import numpy as np
import soundfile

import pictures
from recording import heard, uploaded
from wav2small import Prediction, Predictor, Wav2SmallError

EVERY = 0.25  # s, from one block of the microphone to the next
WINDOW = 3.0  # s that an answer hears; the first answers hear what is there
LEAST = 0.5  # s, before the first answer
SPAN = 30.0  # s that the curves show
EMPTY = '<p class="empty">Press record and speak: the curves start at once.</p>'


@dataclass
class Session:
    """What is kept of a microphone: the last 3 s of sound, and the answers of the last 30 s.

    Attributes:
        rate: of the microphone, in Hz.
        recent: (samples,) float32, at most 3 s.
        seconds: that have arrived in all.
        answers: one a block, each at the time at which its sound ended.
    """

    rate: int = 0
    recent: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    seconds: float = 0.0
    answers: deque[Prediction] = field(default_factory=lambda: deque(maxlen=int(SPAN / EVERY)))


def push(predictor: Predictor, session: Session, block: np.ndarray, rate: int) -> Session:
    """Take the next block (samples,) of the microphone, and answer for the last 3 s."""
    if rate != session.rate:
        session = Session(rate)
    session.recent = np.concatenate([session.recent, block])[-int(WINDOW * rate) :]
    session.seconds += len(block) / rate
    if len(session.recent) >= LEAST * rate:
        answer = predictor((session.recent, rate))
        quiet = answer.silent or heard(session.recent, rate) != "speech"
        session.answers.append(replace(answer, start=session.seconds, end=session.seconds, silent=quiet))
    return session


def show(session: Session, predictor: Predictor) -> str:
    """The newest answer as gauges, its way through the plane, and the curves."""
    if not session.answers:
        return EMPTY
    newest = session.answers[-1]
    word = "listening for speech" if newest.silent else newest.word or ""
    way = [("now", answer) for answer in session.answers if not answer.silent][-20:] or [("now", newest)]
    pair = f"{pictures.gauges(newest, predictor.words)}{pictures.plane(way, predictor.words, path=True)}"
    return (
        f'<section class="answer {"unheard" if newest.silent else ""}" aria-label="live answer">'
        f'<p class="verdict"><strong>{word}</strong></p><div class="pair">{pair}</div>'
        f"{pictures.moving(session.answers, session.seconds, SPAN)}</section>"
    )


def stream(predictor: Predictor, path: str | None, session: Session) -> tuple[str, Session]:
    """Answer one block of the microphone; its file is gone at once."""
    if path is None:
        return show(session, predictor), session
    try:
        with uploaded(path) as file:
            block, rate = soundfile.read(file, dtype="float32", always_2d=True)
        session = push(predictor, session, block.mean(axis=1), rate)
    except (Wav2SmallError, soundfile.LibsndfileError) as error:
        return pictures.message(str(error)), session
    return show(session, predictor), session


def tab(predictor: Predictor) -> None:
    """Lay out the tab."""
    session = gr.State(Session())
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            microphone = gr.Audio(sources=["microphone"], type="filepath", streaming=True, label="Your microphone")
            gr.Markdown("Each answer hears the last 3 s. Nothing is kept beyond that.")
        with gr.Column(scale=3, min_width=320):
            shown = gr.HTML(EMPTY)
    microphone.start_recording(Session, None, session, api_visibility="private", queue=False)
    microphone.stream(
        partial(stream, predictor), [microphone, session], [shown, session], stream_every=EVERY,
        concurrency_limit=40, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
