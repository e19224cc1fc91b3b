"""The tab Compare: one recording through several models, or two recordings through one."""

import time
from functools import lru_cache, partial
from html import escape
from pathlib import Path
from statistics import median

import gradio as gr
import numpy as np

import pictures
from answer import Answer, answer, hear
from recording import RATE, read, uploaded
from wav2small import Predictor, Wav2SmallError, load

BITS = {"float": "fp32", "8 bit": "q8", "4 bit": "q4"}
RUNS = 3  # of each model; the middle time counts
MAX_DOWNLOAD = 100 * 2**20  # bytes of a model that a visitor names
EMPTY = '<p class="empty">Give a recording, then press the button.</p>'
Row = dict[str, float | int | str]


def variants(models: list[str]) -> list[str]:
    """All that can be chosen: each model in float, 8 and 4 bits."""
    return [f"{model}, {bits}" for model in models for bits in BITS]


@lru_cache(maxsize=8)
def model(variant: str) -> Predictor:
    """Load "MODEL, BITS", where MODEL is "bundled", a folder or an id on the Hub.

    Raises:
        Wav2SmallError: if there is none, or it is larger than 100 MB.
    """
    source, _, bits = variant.rpartition(", ")
    if bits not in BITS:
        raise Wav2SmallError(f"{variant}: write MODEL, BITS, where BITS is {', '.join(BITS)}")
    if source != "bundled" and not Path(source).is_dir():
        _check_size(source)
    return load(None if source == "bundled" else source, dtype=BITS[bits])  # type: ignore[arg-type]


def _check_size(source: str) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        size = get_hf_file_metadata(hf_hub_url(source, "onnx/model.onnx")).size or 0
    except Exception:  # no such model, or no network: `load` says which, or finds it in the cache
        return
    if size > MAX_DOWNLOAD:
        raise Wav2SmallError(f"{source} is larger than {MAX_DOWNLOAD // 2**20} MB: too large for this demo")


def compare(samples: np.ndarray, names: list[str]) -> list[Row]:
    """One recording through several models.

    Args:
        samples: (samples,) at 16 kHz.
        names: of variants, see `model`.

    Returns:
        A row for each: model, arousal, dominance, valence, bytes and milliseconds; or model and error.
    """
    rows: list[Row] = []
    for name in names:
        try:
            predictor = model(name)
        except Wav2SmallError as error:
            rows.append({"model": name, "error": str(error)})
            continue
        times = []
        for _ in range(RUNS):
            begin = time.perf_counter()
            whole, windows = hear(predictor, samples)
            times.append(1000 * (time.perf_counter() - begin))
            if windows:
                break  # long audio is its own average
        values = {axis: round(getattr(whole, axis), 4) for axis in pictures.AXES}
        size = predictor.file.stat().st_size
        rows.append({"model": name, **values, "bytes": size, "milliseconds": round(median(times), 1)})
    return rows


def show_rows(rows: list[Row], seconds: float) -> str:
    """A comparison as a table; what could not be loaded stands below it."""
    good = [row for row in rows if "error" not in row]
    cells = [
        (
            row["model"],
            *(f"{row[axis]:.3f}" for axis in pictures.AXES),
            f"{row['bytes']:,}",
            f"{row['milliseconds']:.1f}",
        )
        for row in good
    ]
    caption = f"One recording of {seconds:.1f} s through {len(good)} models"
    answer = pictures.table(["model", *pictures.AXES, "bytes", "ms"], cells, caption) if good else ""
    errors = "".join(pictures.message(str(row["error"])) for row in rows if "error" in row)
    return f'<section class="answer" aria-label="Comparison">{answer}{errors}{pictures.player("models")}</section>'


def compare_models(path: str | None, names: list[str], other: str) -> tuple[str, None]:
    """The button of the first half."""
    names = names + [f"{other.strip()}, float"] * bool(other.strip())
    try:
        if path is None:
            raise Wav2SmallError("there is no recording yet: record or upload one")
        with uploaded(path) as file:
            if not names:
                raise Wav2SmallError("no model is chosen: tick one, and give the recording again")
            samples = read(file, file.name)
            return show_rows(compare(samples, names), len(samples) / RATE), None
    except Wav2SmallError as error:
        return pictures.message(str(error)), None


def compare_recordings(predictor: Predictor, first: str | None, second: str | None) -> tuple[str, None, None]:
    """The button of the second half."""
    try:
        if first is None or second is None:
            raise Wav2SmallError("two recordings are needed: record or upload both")
        with uploaded(first) as one, uploaded(second) as two:
            answers = [answer(predictor, one, one.name), answer(predictor, two, two.name)]
        return show_pair(answers, predictor), None, None
    except Wav2SmallError as error:
        return pictures.message(str(error)), None, None


def show_pair(answers: list[Answer], predictor: Predictor) -> str:
    """Two answers side by side: values, differences, and both points in the plane."""
    first, second = answers
    rows: list[tuple] = []
    for axis in pictures.AXES:
        a, b = getattr(first.whole, axis), getattr(second.whole, axis)
        rows.append((axis, f"{a:.2f}", f"{b:.2f}", f"{b - a:+.2f}"))
    rows.append(("word", *(one.whole.word if one.heard == "speech" else one.heard for one in answers), ""))
    caption = f"1: {first.name}, 2: {second.name}"
    plane = pictures.plane([(one.name, one.whole) for one in answers], predictor.words)
    players = "".join(
        f"<div>{escape(f'{number}: {one.name}')}{pictures.player(name)}</div>"
        for number, name, one in zip((1, 2), ("first", "second"), answers, strict=True)
    )
    table = pictures.table(["", "1", "2", "difference"], rows, caption)
    inside = f'{table}<div class="pair">{plane}<div class="players">{players}</div></div>'
    return f'<section class="answer" aria-label="Two recordings">{inside}</section>'


def tab(predictor: Predictor, models: list[str]) -> None:
    """Lay out the tab."""
    choices = variants(models)
    with gr.Tabs():
        with gr.Tab("Several models", elem_id="several-models"), gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                audio = gr.Audio(sources=["upload", "microphone"], type="filepath", label="Recording", editable=False)
                chosen = gr.CheckboxGroup(choices, value=choices[:3], label="Models")
                other = gr.Textbox(label="Another model on the Hub", placeholder="org/name")
                button = gr.Button("Compare models", variant="primary")
            with gr.Column(scale=3, min_width=320):
                shown = gr.HTML(EMPTY, elem_classes="answers")
            button.click(
                compare_models, [audio, chosen, other], [shown, audio], api_visibility="private",
                js="async (file, ...rest) => [await wav2small.keep('models', file), ...rest]",
            )  # fmt: skip
        with gr.Tab("Two recordings", elem_id="two-recordings"), gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                gr.Markdown("The same sentence in two moods, for instance.")
                inputs = [
                    gr.Audio(sources=["upload", "microphone"], type="filepath", label=label, editable=False)
                    for label in ("Recording 1", "Recording 2")
                ]
                both = gr.Button("Compare recordings", variant="primary")
            with gr.Column(scale=3, min_width=320):
                pair = gr.HTML(EMPTY, elem_classes="answers")
            both.click(
                partial(compare_recordings, predictor), inputs, [pair, *inputs], api_visibility="private",
                js="async (a, b) => [await wav2small.keep('first', a), await wav2small.keep('second', b)]",
            )  # fmt: skip
