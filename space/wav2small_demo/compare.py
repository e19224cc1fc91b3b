"""The tab Compare: one recording with several models, or two recordings with one."""

import time
from functools import lru_cache, partial
from html import escape
from pathlib import Path
from statistics import median

import gradio as gr
import numpy as np

from wav2small import Predictor, Wav2SmallError, load
from wav2small.bundled import bundled_checkpoints
from wav2small.models.adv import LABELS, SAMPLING_RATE

from . import pictures
from .analysis import Analysis, analyse, predict, rounded
from .models import Models
from .recording import read
from .uploads import uploaded

DTYPES = {"float": "fp32", "8 bit": "q8", "4 bit": "q4"}  # as visitors read them: as the library does
RUNS = 3  # of each model; their median time is shown
MAX_MODEL_BYTES = 100 * 2**20  # of a model that a visitor names
EMPTY = '<p class="empty">Give a recording, then press the button.</p>'
Row = dict[str, float | int | str | None]


def variants_of(models: list[str]) -> list[str]:
    """All that can be chosen: each model in float, 8 and 4 bits."""
    return [f"{model}, {bits}" for model in models for bits in DTYPES]


@lru_cache(maxsize=8)
def load_variant(variant: str) -> Predictor:
    """Load "MODEL, BITS", where MODEL is a folder, the name of a bundled checkpoint, or an id on the Hub.

    Raises:
        Wav2SmallError: if there is no such model, or it is larger than 100 MB.
    """
    source, _, bits = variant.rpartition(", ")
    if bits not in DTYPES:
        raise Wav2SmallError(f"{variant}: write MODEL, BITS, where BITS is {', '.join(DTYPES)}")
    if source not in bundled_checkpoints() and not Path(source).is_dir():
        _check_size(source)
    return load(source, dtype=DTYPES[bits])  # type: ignore[arg-type]


def _check_size(source: str) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        size = get_hf_file_metadata(hf_hub_url(source, "onnx/model.onnx")).size or 0
    except Exception:  # no such model, or no network: `load` says so, or finds the model in the cache
        return
    if size > MAX_MODEL_BYTES:
        raise Wav2SmallError(f"{source} is larger than {MAX_MODEL_BYTES // 2**20} MB: too large for this demo")


def compare(samples: np.ndarray, variants: list[str]) -> list[Row]:
    """Predict one recording with several models.

    Args:
        samples: (samples,) at 16 kHz.
        variants: names, see `load_variant`.

    Returns:
        A row for each: model, arousal, dominance, valence, bytes and milliseconds; or model and error.
    """
    rows: list[Row] = []
    for variant in variants:
        try:
            predictor = load_variant(variant)
        except Wav2SmallError as error:
            rows.append({"model": variant, "error": str(error)})
            continue
        times = []
        for _ in range(RUNS):
            start = time.perf_counter()
            whole, windows = predict(predictor, samples)
            times.append(1000 * (time.perf_counter() - start))
            if windows:
                break  # one run over many windows is stable enough
        values = {label: rounded(getattr(whole, label)) for label in LABELS}
        size = predictor.file.stat().st_size
        rows.append({"model": variant, **values, "bytes": size, "milliseconds": round(median(times), 1)})
    return rows


def render_models(rows: list[Row], seconds: float) -> str:
    """A comparison of models as a table; models that could not be loaded are named below it."""
    loaded = [row for row in rows if "error" not in row]
    cells = [
        (
            row["model"],
            *("–" if row[label] is None else f"{row[label]:.3f}" for label in LABELS),
            f"{row['bytes']:,}",
            f"{row['milliseconds']:.1f}",
        )
        for row in loaded
    ]
    caption = f"One recording of {seconds:.1f} s with {len(loaded)} models"
    table = pictures.table(["model", *LABELS, "bytes", "ms"], cells, caption) if loaded else ""
    errors = "".join(pictures.message(str(row["error"])) for row in rows if "error" in row)
    return f'<section class="result" aria-label="Comparison">{table}{errors}{pictures.player("models")}</section>'


def compare_models(path: str | None, variants: list[str], other: str) -> tuple[str, None]:
    """The button of the first half."""
    variants = variants + [f"{other.strip()}, float"] * bool(other.strip())
    try:
        if path is None:
            raise Wav2SmallError("there is no recording yet: record or upload one")
        with uploaded(path) as file:
            if not variants:
                raise Wav2SmallError("no model is chosen: tick one, and give the recording again")
            samples = read(file, file.name)
            return render_models(compare(samples, variants), len(samples) / SAMPLING_RATE), None
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
            with gr.Column(scale=2, min_width=300):
                audio = gr.Audio(sources=["upload", "microphone"], type="filepath", label="Recording", editable=False)
                chosen = gr.CheckboxGroup(choices, value=choices[: len(DTYPES)], label="Models")
                other = gr.Textbox(label="Another model on the Hub", placeholder="org/name")
                models_button = gr.Button("Compare models", variant="primary")
            with gr.Column(scale=3, min_width=320):
                models_result = gr.HTML(EMPTY, elem_classes="results")
            models_button.click(
                compare_models, [audio, chosen, other], [models_result, audio], api_visibility="private",
                js="async (file, ...rest) => [await wav2small.keep('models', file), ...rest]",
            )  # fmt: skip
        with gr.Tab("Two recordings", elem_id="two-recordings"), gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                gr.Markdown("For example the same sentence, said in two moods.")
                recordings = [
                    gr.Audio(sources=["upload", "microphone"], type="filepath", label=label, editable=False)
                    for label in ("Recording 1", "Recording 2")
                ]
                recordings_button = gr.Button("Compare recordings", variant="primary")
            with gr.Column(scale=3, min_width=320):
                recordings_result = gr.HTML(EMPTY, elem_classes="results")
            recordings_button.click(
                partial(compare_recordings, models), [*recordings, models.chooser], [recordings_result, *recordings],
                js="async (a, b, m) => [await wav2small.keep('first', a), await wav2small.keep('second', b), m]",
                api_visibility="private",
            )  # fmt: skip
