"""The tab Listen: one recording, as gauges, as a point in the plane and, if it is long, over time."""

from functools import partial
from html import escape
from pathlib import Path

import gradio as gr

import pictures
from answer import Answer, answer
from recording import uploaded
from wav2small import Predictor, Wav2SmallError

EXAMPLES = {
    "Excited woman": "excited_woman.flac",
    "Calm woman": "calm_woman.flac",
    "Angry man": "angry_man.flac",
    "Sad man": "sad_man.flac",
    "News, 17 s": "news_woman.flac",
    "Noise": "noise.flac",
    "Silence": "silence.flac",
}
FOLDER = Path(__file__).parent / "examples"
EMPTY = '<p class="empty">Record, upload or choose an example: the answer comes here.</p>'


def show(one: Answer, predictor: Predictor, kept: str) -> str:
    """An answer as HTML; its player takes the recording that the browser has kept under `kept`."""
    picture = pictures.plane([(one.name, one.whole)], predictor.words)
    pair = f'<div class="pair">{pictures.gauges(one.whole, predictor.words)}{picture}</div>'
    times = f"{one.seconds:.1f} s of audio, computed in {one.milliseconds:.0f} ms"
    if one.windows:
        over_time = pictures.timeline(one.windows, one.samples, one.seconds, kept)
        times += f"; the mean of {len(one.windows)} windows of 5 s"
    else:
        over_time = f"<div>{pictures.player(kept, one.samples)}</div>"
    return (
        f'<section class="answer {"" if one.heard == "speech" else "unheard"}" aria-label="{escape(one.name)}">'
        f"{verdict(one)}{pair}{over_time}{pictures.note(times + '.')}</section>"
    )


def verdict(one: Answer) -> str:
    """The answer in a word and a sentence; or that there was nothing to judge."""
    if one.heard == "silence":
        word, sentence = "silence", "Nothing was loud enough to judge; the numbers below say nothing."
    elif one.heard == "no speech":
        word, sentence = "no speech", "A steady sound, such as noise or a hum; the numbers below say nothing."
    elif one.whole.word is None:
        return ""
    else:
        word, sentence = one.whole.word, one.whole.describe()
    return f'<p class="verdict"><strong>{word}</strong>{sentence}</p>'


def listen(predictor: Predictor, path: str | None) -> tuple[str, None]:
    """Answer an upload or a recording, and empty the input for the next one."""
    if path is None:
        return EMPTY, None
    try:
        with uploaded(path) as file:
            return show(answer(predictor, file, file.name), predictor, "listen"), None
    except Wav2SmallError as error:
        return pictures.message(str(error)), None


def example(predictor: Predictor, name: str) -> str:
    """Answer one of the recordings that come with the Space."""
    return show(answer(predictor, FOLDER / EXAMPLES[name], EXAMPLES[name]), predictor, "listen")


def tab(predictor: Predictor) -> None:
    """Lay out the tab."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            audio = gr.Audio(sources=["upload", "microphone"], type="filepath", label="Your recording", editable=False)
            gr.Markdown("or an example, made with open text-to-speech:")
            with gr.Row(elem_classes="examples"):
                buttons = {name: gr.Button(name, size="sm", min_width=100) for name in EXAMPLES}
        with gr.Column(scale=3, min_width=320):
            shown = gr.HTML(EMPTY, elem_classes="answers")
    gr.on(
        [audio.upload, audio.stop_recording],
        partial(listen, predictor),
        audio,
        [shown, audio],
        js="(file) => wav2small.keep('listen', file)",
        api_visibility="private",
        show_progress_on=shown,
    )
    for name, button in buttons.items():
        button.click(
            partial(example, predictor, name),
            None,
            shown,
            api_visibility="private",
            js=f"() => wav2small.keepExample({str(FOLDER / EXAMPLES[name])!r})",
        )
