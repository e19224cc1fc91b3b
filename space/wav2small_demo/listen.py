"""The tab Listen: one recording, as gauges, as a point in the plane and, if it is long, over time."""

from functools import partial
from html import escape
from pathlib import Path

import gradio as gr

from wav2small import Predictor, Wav2SmallError

from . import pictures
from .analysis import Analysis, analyse
from .limits import AT_ONCE
from .models import Models
from .uploads import uploaded

EXAMPLES_FOLDER = Path(__file__).parent / "examples"
EXAMPLES = {
    "Anger": "anger_emodb14.flac",
    "Joy": "joy_emodb15.flac",
    "Sadness": "sadness_emodb14.flac",
    "Neutral": "neutral_emodb15.flac",
    "A woman reads": "woman_libri1183.flac",
    "A man reads, 15 s": "man_libri1235.flac",
    "Amusement, no words": "amused_emogator.flac",
    "Relief, no words": "relief_emogator.flac",
    "A dog": "dog_esc10.flac",
    "Rain": "rain_esc10.flac",
    "Silence": "silence.flac",
}
EMPTY = '<p class="empty">Record, upload or choose an example; its prediction appears here.</p>'


def render(analysis: Analysis, predictor: Predictor) -> str:
    """An analysis as HTML; its player uses the recording that the browser has kept as "listen", see page.js."""
    plane = pictures.plane([(analysis.name, analysis.whole)], predictor.words)
    marks = pictures.key(analysis.whole, predictor.words)
    numbers = f'<div class="pair"><div>{pictures.gauges(analysis.whole, predictor.words)}{marks}</div>{plane}</div>'
    note = f"{analysis.seconds:.1f} s of audio, computed in {analysis.milliseconds:.0f} ms"
    if analysis.windows:
        over_time = pictures.timeline(analysis.windows, analysis.samples, analysis.seconds, "listen")
        note += f"; the values are the mean of {len(analysis.windows)} windows of 5 s"
    else:
        over_time = f"<div>{pictures.player('listen', analysis.samples)}</div>"
    muted = "" if analysis.heard == "speech" else "muted"
    return (
        f'<section class="result {muted}" aria-label="{escape(analysis.name)}">'
        f'<p class="name">{escape(analysis.name)}</p>{verdict(analysis)}'
        f"{numbers}{over_time}{pictures.note(note + '.')}</section>"
    )


def verdict(analysis: Analysis) -> str:
    """The prediction as a word and a sentence; or that there is no speech to judge."""
    if analysis.heard == "silence":
        sentence = "Nothing can be heard in the recording."
    elif analysis.heard == "no speech":
        sentence = "Nobody speaks in the recording, or too little of it is speech."
    elif analysis.whole.word is None:
        return ""
    else:
        sentence = analysis.whole.describe()
    return f'<p class="verdict"><strong>{analysis.whole.word}</strong>{sentence}</p>'


def predict_upload(models: Models, path: str | None, model: str) -> tuple[str, None]:
    """Show an upload or a recording, and empty the input for the next one."""
    if path is None:
        return EMPTY, None
    try:
        with uploaded(path) as file:
            return render(analyse(models[model], file, file.name), models[model]), None
    except Wav2SmallError as error:
        return pictures.message(str(error)), None


def predict_example(models: Models, name: str, model: str) -> str:
    """Show one of the recordings that come with the page."""
    return render(analyse(models[model], EXAMPLES_FOLDER / EXAMPLES[name], EXAMPLES[name]), models[model])


def tab(models: Models, page: gr.Blocks) -> None:
    """Lay out the tab; the page opens with the first example."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            audio = gr.Audio(sources=["upload", "microphone"], type="filepath", label="Your recording", editable=False)
            gr.Markdown("or an example; the first four are actors, who were asked for that emotion:")
            with gr.Row(elem_classes="examples"):
                buttons = {name: gr.Button(name, size="sm", min_width=100) for name in EXAMPLES}
        with gr.Column(scale=3, min_width=320):
            result = gr.HTML(EMPTY, elem_classes="results")
    gr.on(
        [audio.upload, audio.stop_recording],
        partial(predict_upload, models),
        [audio, models.chooser],
        [result, audio],
        js="async (file, model) => [await wav2small.keep('listen', file), model]",
        api_visibility="private",
        show_progress_on=result,
        **AT_ONCE,
    )
    for i, (name, button) in enumerate(buttons.items()):
        gr.on(
            [button.click] if i else [button.click, page.load],
            partial(predict_example, models, name),
            models.chooser,
            result,
            api_visibility="private",
            js=f"(model) => wav2small.keepExample({str(EXAMPLES_FOLDER / EXAMPLES[name])!r}, model)",
            **AT_ONCE,
        )
