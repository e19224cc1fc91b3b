"""Plots of an evaluation: predictions over targets, robustness, distortions."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from wav2small.cli.plot import COLORS
from wav2small.models.adv import LABELS

from .conditions import AS_RECORDED, VOICEFIXER
from .robustness import REFERENCES
from .scores import PredictionTable

FRAME = (-0.05, 1.05)
LINES = ("-", "--", ":", "-.")
Content = dict[str, Any]  # of report.json


def model_names(content: Content) -> list[str]:
    """Names of the models, in order."""
    return [model["name"] for model in content["settings"]["models"]]


def agreement(content: Content, table: PredictionTable) -> Figure:
    """Predictions over targets: a row for each model, a column for each dimension; outliers are drawn on the edge."""
    models = model_names(content)
    score = {
        (row["model"], row["dimension"]): f"CCC {row['ccc']:.2f}"
        for row in content["agreement"]
        if row["condition"] == AS_RECORDED.name
    }
    alpha = float(np.clip(100 / len(table.clips), 0.1, 0.6))
    figure = Figure(figsize=(10.5, 3.6 * len(models) + 0.2), layout="constrained")
    for panels, model in zip(figure.subplots(len(models), 3, squeeze=False), models, strict=True):
        predictions = np.clip(table.predictions[model][AS_RECORDED.name], *FRAME)
        for i, (panel, dimension) in enumerate(zip(panels, LABELS, strict=True)):
            panel.plot([0, 1], [0, 1], color="0.6", lw=0.8)
            panel.scatter(table.target[:, i], predictions[:, i], s=16, color=COLORS[dimension], alpha=alpha, lw=0)
            panel.set_title(f"{dimension}, {score.get((model, dimension), 'not rated')}", fontsize=10)
            panel.set(xlim=FRAME, ylim=FRAME, aspect="equal", xlabel="target")
            panel.grid(alpha=0.3)
        panels[0].set_ylabel(f"prediction of {model}")
    return figure


def robustness(content: Content) -> Figure:
    """Share of unchanged predictions in each test, with its bar and the reference models."""
    models = model_names(content)
    rows = [row for row in content["robustness"] if row["measure"] == "unchanged"]
    tests = [row for row in rows if row["model"] == models[0]]
    places = np.arange(len(tests))[::-1]
    height = 0.8 / len(models)
    figure = Figure(figsize=(12, len(tests) * (0.2 + 0.12 * len(models)) + 1.4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for panel, dimension in zip(panels, LABELS, strict=True):
        for i, model in enumerate(models):
            shares = [row["values"][dimension] for row in rows if row["model"] == model]
            tint = COLORS[dimension] if len(models) == 1 else colormaps["cividis"](i / (len(models) - 1))
            panel.barh(places + 0.4 - (i + 0.5) * height, shares, 0.9 * height, color=tint, alpha=0.75, label=model)
        panel.vlines([row["bar"] for row in tests], places - 0.45, places + 0.45, color="black", lw=1.6, label="bar")
        for i, (name, marker) in enumerate(zip(REFERENCES, "oD", strict=True)):
            known = [row["published"].get(dimension, (None, None))[i] for row in tests]
            shape = {"marker": marker, "s": 26, "facecolor": "white", "edgecolor": "black", "zorder": 3}
            panel.scatter(np.array(known, np.float64), places, label=name, **shape)
        panel.margins(y=0.01)
        panel.set(xlim=(0, 1.03), title=dimension, xlabel="share of clips unchanged")
        panel.set_yticks(places, [row["condition"] for row in tests], fontsize=9)
        panel.grid(axis="x", alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=len(labels), loc="outside lower center", fontsize=9)
    return figure


def distortions(content: Content) -> Figure:
    """CCC of each model over the strength of each distortion."""
    score = {(row["model"], row["condition"], row["dimension"]): row["ccc"] for row in content["conditions"]}
    measured = {row["condition"] for row in content["conditions"]}
    families = {name: [c for c in members if c in measured] for name, members in VOICEFIXER.items()}
    families = {name: members for name, members in families.items() if members}
    figure = Figure(figsize=(3.2 * len(families) + 0.6, 4), layout="constrained")
    panels = figure.subplots(1, len(families), sharey=True, squeeze=False)[0]
    for panel, (family, members) in zip(panels, families.items(), strict=True):
        steps = [AS_RECORDED.name, *members]
        for i, model in enumerate(model_names(content)):
            for dimension in LABELS:
                values = np.array([score[model, step, dimension] for step in steps], np.float64)
                style = {"color": COLORS[dimension], "ls": LINES[i % len(LINES)], "marker": "o", "ms": 4}
                panel.plot(values, label=f"{model}, {dimension}", **style)
        panel.set(title=family)
        panel.set_xticks(range(len(steps)), ["clean", *(step.split(" ", 1)[1] for step in members)], fontsize=8)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("CCC")
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=3, loc="outside lower center", fontsize=9)
    return figure
