"""The head of a card: one table and one plot of a model, its teacher and the loudness baseline."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from wav2small.cli.plot import COLORS, GREY, INK
from wav2small.inference.predictor import ONNX_FILES
from wav2small.models.adv import LABELS
from wav2small.provenance.provenance import Provenance

from ..evaluation.conditions import AS_RECORDED
from ..evaluation.plots import Content, model_names
from ..evaluation.report_tables import code_label, select
from ..evaluation.scores import BASELINE
from ..tables import grid, triple
from .card_results import this_model
from .card_tables import NOT_MEASURED, title

PLOT = "results/agreement.png"
ROW, MARGIN = 0.2, 1.1  # inches of the plot
AUC_LABELS = ("arousal", "valence")


def facts(speed: Content | None, folder: Path, licence: str) -> str:
    """Values, bytes, time and licence of a model in one line."""
    parts = []
    small = next((kind for kind in ("q8", "fp16", "fp32") if (folder / ONNX_FILES[kind]).is_file()), None)
    if speed:
        name = this_model(speed["models"], folder, folder)
        (model,) = select(speed["models"], name=name)
        parts.append(f"{model['values']:,} values")
        times = [row for row in select(speed["rows"], model=name) if row["file"] == ONNX_FILES.get(small or "")]
    if small:
        words = {"q8": " in 8 bits", "fp16": " in half precision", "fp32": ""}[small]
        parts.append(f"{amount((folder / ONNX_FILES[small]).stat().st_size)}{words} (`{ONNX_FILES[small]}`)")
    if speed and times:
        parts.append(f"{times[0]['ms']:.1f} ms for {speed['seconds']:g} s of audio on one CPU thread")
    return " · ".join([*parts, licence])


def amount(size: int) -> str:
    """Bytes as KB or MB."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} KB"


def teacher_of(content: Content, record: Provenance) -> str | None:
    """The name of the teacher in an evaluation, found by the names that the provenance has for it."""
    known: set[str] = set()
    for link in record.teachers:
        known |= {link.id.rpartition("/")[2], *([link.provenance.name] if link.provenance else [])}
    return next((name for name in model_names(content) if name.rpartition("/")[2] in known), None)


def table(contents: Iterable[Content], folder: Path, record: Provenance) -> str:
    """Pearson's r, CCC and, where known, AUC of this model, of its teacher and of the loudness baseline, by corpus."""
    contents = list(contents)
    if not contents:
        return f"{NOT_MEASURED} `wav2small evaluate` measures it, and `wav2small card --results` shows it."
    with_auc = any(content.get("auc") for content in contents)
    rows, lacking = [], []
    for content in contents:
        this, teacher = this_model(content["settings"]["models"], folder, folder), teacher_of(content, record)
        if record.teachers and teacher is None and content["settings"]["target"]["kind"] != "teacher":
            lacking.append(title(content))
        names = {this: "**this model**", **({teacher: f"its teacher, {code_label(teacher)}"} if teacher else {})}
        for name, label in [*names.items(), (BASELINE, BASELINE)]:
            cells = [scores(content["agreement"], name, metric, LABELS) for metric in ("pearson", "ccc")]
            cells += [scores(content.get("auc", []), name, "auc", AUC_LABELS)] if with_auc else []
            rows.append([title(content), label, *cells])
    header = ["data", "model", "Pearson's r, A / D / V", "CCC, A / D / V", *(["AUC, A / V"] if with_auc else [])]
    parts = [grid(header, rows), f"A / D / V: {', '.join(LABELS)}. {targets(contents)}"]
    if with_auc:
        parts[-1] += " AUC: how often a clip of an excited (a positive) word is above one of a calm (a negative) word."
    if lacking:
        parts.append(f"Its teacher was not measured on {' and '.join(lacking)}.")
    return "\n\n".join([*parts, *passed(contents, folder)])


def scores(rows: list[dict[str, Any]], model: str, metric: str, dimensions: Iterable[str]) -> str:
    """The scores of a model for clips as recorded, in one cell."""
    found = {row["dimension"]: row[metric] for row in select(rows, model=model, condition=AS_RECORDED.name)}
    return triple([found.get(name) for name in dimensions])


def targets(contents: list[Content]) -> str:
    """What the predictions were compared with, once for all corpora with the same targets."""
    named: dict[str, list[str]] = {}
    for content in contents:
        split = content["settings"]["data"]["where"].get("split", content["settings"]["data"]["split"])
        where = f", {split}" if split != "train" else ""
        named.setdefault(content["settings"]["target"]["text"], []).append(
            f"{title(content)} ({content['clips']} clips{where})"
        )
    return " ".join(f"{', '.join(data)}: {text}" for text, data in named.items())


def passed(contents: list[Content], folder: Path) -> list[str]:
    """How many of the published robustness tests this model passes, in a sentence for each corpus."""
    sentences = []
    for content in contents:
        this = this_model(content["settings"]["models"], folder, folder)
        verdicts = [v for row in select(content["robustness"], model=this) for v in row["passed"].values()]
        if verdicts:
            count = f"{sum(verdicts)} of {len(verdicts)}"
            sentences.append(f"Noise, rooms, telephone, level: {count} published checks passed on {title(content)}.")
    return sentences


def plot(contents: Iterable[Content], folder: Path, record: Provenance) -> Figure:
    """CCC with 95 % intervals of all models that were compared: a panel for each dimension, this model in colour."""
    lines: list[tuple[str, Content | None, str]] = []  # text, evaluation, model; a line without one is a title
    for content in contents:
        this, teacher = this_model(content["settings"]["models"], folder, folder), teacher_of(content, record)
        lines.append((title(content), None, ""))
        first = [this, *([teacher] if teacher else [])]
        others = [name for name in model_names(content) if name not in first]
        texts = {this: "this model", teacher: f"its teacher, {teacher}", BASELINE: BASELINE}
        lines += [(texts.get(name, name), content, name) for name in [*first, *others, BASELINE]]
    figure = Figure(figsize=(9, ROW * len(lines) + MARGIN), layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(LABELS), sharey=True, sharex=True)
    for panel, dimension in zip(panels, LABELS, strict=True):
        for place, (text, source, name) in enumerate(lines):
            rows = source["agreement"] if source else []
            for row in select(rows, model=name, condition=AS_RECORDED.name, dimension=dimension):
                color = COLORS[dimension] if text == "this model" else GREY
                panel.plot(row["ccc_interval"], [place, place], color=color, lw=2, alpha=0.6)
                marker = "D" if text.startswith("its teacher") else "o"
                face = "white" if name == BASELINE else color
                panel.plot(row["ccc"], place, marker, color=color, mfc=face, ms=6 if text == "this model" else 5)
        panel.axvline(0, color=GREY, lw=0.6)
        panel.set_title(dimension, fontsize=10, color=INK)
        panel.set_xlabel("CCC", fontsize=8.5, color=GREY)
        panel.tick_params(labelsize=8.5, colors=INK, length=0)
        panel.grid(axis="x", alpha=0.3)
        for side in ("top", "right", "left"):
            panel.spines[side].set_visible(False)
    panels[0].set_yticks(range(len(lines)), [text for text, _, _ in lines])
    panels[0].set_ylim(len(lines) - 0.5, -0.5)
    for tick, (text, source, _) in zip(panels[0].get_yticklabels(), lines, strict=True):
        tick.set_fontweight("bold" if source is None or text == "this model" else "normal")
    return figure
