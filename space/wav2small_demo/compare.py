"""The tab Compare: one recording with several models, or two recordings with one."""

import re
import threading
from collections.abc import Collection
from functools import lru_cache, partial
from html import escape
from pathlib import Path
from typing import cast

import gradio as gr
import numpy as np

from wav2small import Predictor, Wav2SmallError, load
from wav2small.bundled import bundled_checkpoints
from wav2small.hub import hub_error, resolve_checkpoint
from wav2small.inference.intervals import INTERVALS_FILE
from wav2small.inference.predictor import ONNX_FILES
from wav2small.inference.words import WORDS_FILE
from wav2small.models.adv import LABELS, SAMPLING_RATE

from . import pictures
from .analysis import Analysis, analyse, timed
from .limits import AT_ONCE, MAX_MODEL_BYTES, MB
from .models import Models
from .named_model import predict_apart
from .recording import read
from .uploads import uploaded

DTYPES = {"float": "fp32", "8 bit": "q8", "4 bit": "q4"}  # as visitors read them: as the library does
CHECKPOINT_FILES = ("config.json", WORDS_FILE, INTERVALS_FILE)  # and an ONNX file
HUB_ID = r"\w[\w.-]{0,95}/[\w.-]{1,95}"
ONE_AT_A_TIME = threading.Lock()  # of the models that visitors name
EMPTY = '<p class="empty">Give a recording, then press the button.</p>'
Row = dict[str, float | int | str | None]


def variants_of(models: list[str]) -> list[str]:
    """All that can be chosen: each model in float, 8 and 4 bits."""
    return [f"{model}, {bits}" for model in models for bits in DTYPES]


@lru_cache(maxsize=64)
def load_offered(model: str, bits: str) -> Predictor:
    """Load a model of the page once: its files are on this machine."""
    return load(model, dtype=DTYPES[bits])  # type: ignore[arg-type]


def fetch(model: str, bits: str) -> Path:
    """Fetch a model that a visitor names from the Hub: not before the size of each file is known.

    Returns:
        Its folder.

    Raises:
        Wav2SmallError: if it is no id on the Hub, is not there, or is larger than 100 MB.
    """
    from huggingface_hub import HfApi

    if not re.fullmatch(HUB_ID, model) or Path(model).exists():  # a visitor must not name folders of this machine
        raise Wav2SmallError(f"{model} is not a model of this page: choose one of them, or give its id on the Hub")
    files = [*CHECKPOINT_FILES, ONNX_FILES[DTYPES[bits]]]
    try:
        info = HfApi(token=False).model_info(model, files_metadata=True, timeout=10)  # a private one stays private
    except Exception as error:  # the HTTP clients of the two lines of huggingface_hub share no base class
        raise hub_error(model, error) from None
    sizes = [each.size for each in info.siblings or [] if each.rfilename in files]
    if None in sizes or sum(size or 0 for size in sizes) > MAX_MODEL_BYTES:
        raise Wav2SmallError(f"{model} is larger than {MAX_MODEL_BYTES // MB} MB: too large for this demo")
    return resolve_checkpoint(model, files, info.sha)


def compare(samples: np.ndarray, variants: list[str], offered: Collection[str]) -> list[Row]:
    """Predict one recording with several models.

    Args:
        samples: (samples,) at 16 kHz.
        variants: "MODEL, BITS" each, where MODEL is one of the page or an id on the Hub.
        offered: the models of the page.

    Returns:
        A row for each: model, arousal, dominance, valence, bytes and milliseconds; or model and error.
    """
    rows: list[Row] = []
    for variant in variants:
        model, _, bits = variant.rpartition(", ")
        try:
            if bits not in DTYPES:
                raise Wav2SmallError(f"{variant}: write MODEL, BITS, where BITS is {', '.join(DTYPES)}")
            if model in offered or model in bundled_checkpoints():
                row = timed(load_offered(model, bits), samples)
            else:
                with ONE_AT_A_TIME:
                    row = predict_apart(model, fetch(model, bits), DTYPES[bits], samples)
            rows.append({"model": variant, **row})
        except Wav2SmallError as error:
            rows.append({"model": variant, "error": str(error)})
    return rows


def render_models(rows: list[Row], seconds: float) -> str:
    """A comparison of models as a table; models that could not be loaded are named below it."""
    loaded = [row for row in rows if "error" not in row]
    cells = [
        (
            row["model"],
            *("–" if row[label] is None else f"{row[label]:.3f}" for label in LABELS),
            row["word"] or "",
            f"{cast(int, row['bytes']) / 1000:.0f}",
            f"{row['milliseconds']:.1f}",
        )
        for row in loaded
    ]
    caption = f"One recording of {seconds:.1f} s with {len(loaded)} models"
    table = pictures.table(["model", *LABELS, "word", "kB", "ms"], cells, caption) if loaded else ""
    errors = "".join(pictures.message(str(row["error"])) for row in rows if "error" in row)
    return f'<section class="result" aria-label="Comparison">{table}{errors}{pictures.player("models")}</section>'


def compare_models(models: Models, path: str | None, variants: list[str], other: str) -> tuple[str, None]:
    """The button of the first half."""
    variants = variants + [f"{other.strip()}, float"] * bool(other.strip())
    try:
        if path is None:
            raise Wav2SmallError("there is no recording yet: record or upload one")
        with uploaded(path) as file:
            if not variants:
                raise Wav2SmallError("no model is chosen: tick one, and give the recording again")
            samples = read(file, file.name)
            return render_models(compare(samples, variants, models.predictors), len(samples) / SAMPLING_RATE), None
    except Wav2SmallError as error:
        return pictures.message(str(error)), None


def compare_recordings(models: Models, first: str | None, second: str | None, model: str) -> tuple[str, None, None]:
    """The button of the second half."""
    try:
        if first is None or second is None:
            raise Wav2SmallError("two recordings are needed: record or upload both")
        with uploaded(first) as one, uploaded(second) as two:
            pair = [analyse(models[model], one, one.name), analyse(models[model], two, two.name)]
        return render_recordings(pair, models[model]), None, None
    except Wav2SmallError as error:
        return pictures.message(str(error)), None, None


def render_recordings(pair: list[Analysis], predictor: Predictor) -> str:
    """Two recordings side by side: values, differences, and both points in the plane."""
    first, second = pair
    rows: list[tuple] = []
    for label in LABELS:
        a, b = getattr(first.whole, label), getattr(second.whole, label)
        rows.append((label, *map(pictures.number, (a, b)), pictures.number(b - a, "+.2f")))
    rows.append(("word", first.whole.word or "", second.whole.word or "", ""))
    table = pictures.table(["", "1", "2", "difference"], rows, f"1: {first.name}, 2: {second.name}")
    plane = pictures.plane([(one.name, one.whole) for one in pair], predictor.words, numbered=True)
    players = "".join(
        f"<div>{escape(f'{number}: {one.name}')}{pictures.player(kept)}</div>"
        for number, kept, one in zip((1, 2), ("first", "second"), pair, strict=True)
    )
    content = f'{table}<div class="pair">{plane}<div class="players">{players}</div></div>'
    return f'<section class="result" aria-label="Two recordings">{content}</section>'


def tab(models: Models) -> None:
    """Lay out the tab."""
    choices = variants_of(list(models.predictors))
    with gr.Tabs():
        with gr.Tab("Several models", elem_id="several-models"), gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=300):
                audio = gr.Audio(sources=["upload", "microphone"], type="filepath", label="Recording", editable=False)
                chosen = gr.CheckboxGroup(choices, value=choices[: len(DTYPES)], label="Models")
                other = gr.Textbox(label="Another model on the Hub", placeholder="org/name")
                models_button = gr.Button("Compare models", variant="primary")
            with gr.Column(scale=2, min_width=320):
                models_result = gr.HTML(EMPTY, elem_classes="results")
            models_button.click(
                partial(compare_models, models), [audio, chosen, other], [models_result, audio],
                api_visibility="private", **AT_ONCE,
                js="async (file, ...rest) => [await wav2small.keep('models', file), ...rest]",
            )  # fmt: skip
        with gr.Tab("Two recordings", elem_id="two-recordings"), gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=300):
                gr.Markdown("For example the same sentence, said in two moods.")
                recordings = [
                    gr.Audio(sources=["upload", "microphone"], type="filepath", label=label, editable=False)
                    for label in ("Recording 1", "Recording 2")
                ]
                recordings_button = gr.Button("Compare recordings", variant="primary")
            with gr.Column(scale=2, min_width=320):
                recordings_result = gr.HTML(EMPTY, elem_classes="results")
            recordings_button.click(
                partial(compare_recordings, models), [*recordings, models.chooser], [recordings_result, *recordings],
                js="async (a, b, m) => [await wav2small.keep('first', a), await wav2small.keep('second', b), m]",
                api_visibility="private", **AT_ONCE,
            )  # fmt: skip
