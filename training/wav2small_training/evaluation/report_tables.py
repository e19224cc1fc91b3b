"""The content of `report.json` as Markdown tables, for the report and for the cards of checkpoints."""

from collections.abc import Callable
from typing import Any

from wav2small.models.adv import LABELS

from ..tables import UNKNOWN, grid, interval, judged, number, triple
from .conditions import AS_RECORDED, LEVEL_NORMALISED, VOICEFIXER
from .plots import Content, model_names
from .robustness import REFERENCES, UNPUBLISHED
from .scores import BASELINE, FEW_GROUPS

Label = Callable[[str], str]  # name of a model in the content -> its name in a table
METRIC_NAMES = {"ccc": "CCC", "pearson": "Pearson's r", "mae": "MAE"}


def code_label(model: str) -> str:
    """The name of a model as code; the loudness baseline is none."""
    return model if model == BASELINE else f"`{model}`"


def metric_table(content: Content, rows: list[dict[str, Any]], metric: str, title: str, label: Label) -> str:
    """One metric with its intervals: a row for each model and condition, a column for each dimension that has scores.

    Args:
        content: of `report.json`.
        rows: `agreement` or `auc` of the content.
        metric: key of the score.
        title: of the metric.
        label: name of a model in the table.
    """
    dimensions = [name for name in LABELS if any(row["dimension"] == name for row in rows)]
    lines = []
    for model in [*model_names(content), BASELINE]:
        for condition in (AS_RECORDED.name, LEVEL_NORMALISED.name):
            own = {row["dimension"]: row for row in select(rows, model=model, condition=condition)}
            if own:
                scores = [interval(own[name], metric) if name in own else UNKNOWN for name in dimensions]
                lines.append([label(model), condition, *scores])
    return grid(["model", "audio", *(f"{title}, {name}" for name in dimensions)], lines)


def auc_tables(content: Content, label: Label) -> list[str]:
    """AUC between groups of emotion words, with the words; empty where the data have no such words."""
    rows = content.get("auc", [])  # a report of an earlier version has none
    if not rows:
        return []
    lines = [
        f"- {dimension}: {', '.join(words['high'])} ({row['high']} clips) against "
        f"{', '.join(words['low'])} ({row['low']} clips)"
        for dimension, words in content["emotion_groups"].items()
        for row in select(rows, dimension=dimension)[:1]
    ]
    return ["\n".join(lines), metric_table(content, rows, "auc", "AUC", label)]


def group_tables(content: Content, label: Label) -> list[str]:
    """Scores of all models by sex, language, speaker or another column: a table for each column with few groups."""
    tables = []
    for column in dict.fromkeys(row["column"] for row in content["groups"]):
        groups = list(dict.fromkeys(row["group"] for row in content["groups"] if row["column"] == column))
        if not 1 < len(groups) <= FEW_GROUPS:
            continue
        lines = []
        for group in groups:
            for model in model_names(content):
                own = {
                    row["dimension"]: row for row in select(content["groups"], model=model, column=column, group=group)
                }
                clips = str(max(row["clips"] for row in own.values()))
                metrics = ("ccc", "pearson", "mean_error")
                scores = [triple([own.get(name, {}).get(metric) for name in LABELS]) for metric in metrics]
                lines.append([group or "(none)", label(model), clips, *scores])
        header = [column, "model", "clips", "CCC, A/D/V", "Pearson's r, A/D/V", "mean error, A/D/V"]
        tables.append(grid(header, lines))
    return tables


def passed_table(content: Content, label: Label) -> str:
    """How many of the published robustness tests each model passes, by kind of test."""
    kinds = list(dict.fromkeys(row["group"] for row in content["robustness"]))
    lines = []
    for model in model_names(content):
        own = select(content["robustness"], model=model)
        counted = []
        for kind in (None, *kinds):
            verdicts = [passed for row in own if kind in (None, row["group"]) for passed in row["passed"].values()]
            counted.append(f"{sum(verdicts)} of {len(verdicts)}")
        lines.append([label(model), *counted])
    return grid(["model", "all", *kinds], lines)


def robustness_table(content: Content, model: str) -> str:
    """The published robustness tests of one model, beside the values of the two reference models."""
    lines = []
    for row in select(content["robustness"], model=model):
        own = [judged(row["values"].get(name), row["passed"].get(name)) for name in LABELS]
        others = [triple([row["published"].get(name, UNPUBLISHED)[i] for name in LABELS]) for i in range(2)]
        lines.append([row["group"], row["condition"], row["measure"], f"≥ {row['bar']}", *own, *others])
    header = ["test", "condition", "measure", "bar", *LABELS, *(f"{name}, A/D/V" for name in REFERENCES)]
    return grid(header, lines)


def distortion_table(content: Content, label: Label, first: str) -> str:
    """CCC of each model under VoiceFixer's distortions, and the share of unchanged predictions of the `first`."""
    found = {(row["model"], row["condition"], row["dimension"]): row for row in content["conditions"]}
    models = sorted(model_names(content), key=lambda model: model != first)
    strengths = [name for names in VOICEFIXER.values() for name in names]
    lines = []
    for condition in [AS_RECORDED.name, LEVEL_NORMALISED.name, *strengths]:
        if (first, condition, LABELS[0]) in found:
            scores = [triple([found[model, condition, name]["ccc"] for name in LABELS]) for model in models]
            lines.append([condition, triple([found[first, condition, name]["unchanged"] for name in LABELS]), *scores])
    return grid(["condition", "unchanged, A/D/V", *(f"CCC of {label(model)}, A/D/V" for model in models)], lines)


def fairness_table(content: Content, model: str) -> str:
    """The published tests of fairness, speakers and distribution of one model."""
    lines = []
    for row in select(content["fairness"], model=model):
        value, others = judged(row["value"], row["passed"]), [number(value) for value in row["published"]]
        if not row["passed"] and row["chance"] is not None and abs(row["value"]) <= row["chance"]:
            value = f"{row['value']:.3f} fail, within chance"
        bar = f"{row['sign']} {row['bar']}"
        lines.append([row["test"], row["dimension"], value, bar, number(row["chance"]), row["clips"], *others])
    return grid(["test", "dimension", "value", "bar", "by chance", "on", *REFERENCES], lines)


def select(rows: list[dict[str, Any]], **values: str) -> list[dict[str, Any]]:
    """The rows that have these values."""
    return [row for row in rows if all(row[key] == value for key, value in values.items())]
