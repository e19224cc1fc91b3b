"""From predictions, a JSON line for each clip, model and condition, to the numbers of a report; no model runs here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from wav2small.models.adv import LABELS

from ..data.norms import AUC_GROUPS
from ..metrics import auc, ccc, interval, mae, pearson, unchanged
from . import fairness, robustness
from .conditions import AS_RECORDED, LEVEL_NORMALISED

BASELINE = "loudness baseline"
BARS = {"ccc": 0.5, "mae": 0.1}  # targets of audeering/ser-tests: CCC at least, mean absolute error at most
METRICS = {"ccc": ccc, "pearson": pearson, "mae": mae}
FEW_GROUPS = 12  # a column with more values has its groups only in the JSON


@dataclass
class PredictionTable:
    """All predictions of an evaluation, as numbers; the clips are in the same order everywhere.

    Attributes:
        clips: ids.
        seconds: (clips,) lengths.
        level_db: (clips,) RMS, full scale = 0 dB.
        target: (clips, 3), NaN where there is none.
        columns: (clips,) of str by name, "" where a clip has no value.
        emotions: (clips,) of str: emotion words, "" where the target is not the norm of one.
        predictions: (clips, 3) by model, then by condition.
        compute_seconds: time of all predictions by model.
        skipped: reason by clip.
    """

    clips: list[str] = field(default_factory=list)
    seconds: Any = field(default_factory=list)
    level_db: Any = field(default_factory=list)
    target: Any = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)
    emotions: Any = field(default_factory=list)
    predictions: dict[str, dict[str, Any]] = field(default_factory=dict)
    compute_seconds: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "PredictionTable":
        """Read the predictions that `evaluate` wrote."""
        table = cls()
        for row in read_lines(path):
            if "skipped" in row:
                table.skipped[row["clip"]] = row["skipped"]
                continue
            model, condition = row["model"], row["condition"]
            if not table.predictions or (model == next(iter(table.predictions)) and condition == AS_RECORDED.name):
                table.clips.append(row["clip"])
                table.seconds.append(row["seconds"])
                table.level_db.append(row["level_db"])
                table.target.append(row["target"])
                table.emotions.append(row["emotion"])
                for column, value in row["groups"].items():
                    table.columns.setdefault(column, []).append(value)
            table.predictions.setdefault(model, {}).setdefault(condition, []).append(row["prediction"])
            table.compute_seconds[model] = table.compute_seconds.get(model, 0.0) + row["compute_seconds"]
        table.seconds, table.level_db = np.array(table.seconds), np.array(table.level_db)
        table.target = np.array(table.target, np.float64).reshape(-1, 3)
        table.emotions = np.array(table.emotions)
        table.columns = {column: np.array(values) for column, values in table.columns.items()}
        for model, by_condition in table.predictions.items():
            table.predictions[model] = {name: np.array(rows, np.float64) for name, rows in by_condition.items()}
        return table


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read a JSON lines file row by row."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def summary(table: PredictionTable, fit: list[dict[str, Any]], groups: list[str]) -> dict[str, Any]:
    """All numbers of a report, ready for JSON.

    Args:
        table: the predictions.
        fit: rows with `level_db` and `target` of other clips, to fit the loudness baseline; empty for none.
        groups: columns to break the scores down by.
    """
    loudness, how = loudness_baseline(table, fit)
    measured = {name for by_condition in table.predictions.values() for name in by_condition}
    tested = measured - {AS_RECORDED.name, LEVEL_NORMALISED.name}
    return {
        "clips": len(table.clips),
        "minutes": float(table.seconds.sum() / 60),
        "skipped": table.skipped,
        "loudness_fit": how,
        "agreement": agreement_rows(table, loudness),
        "emotion_groups": {name: present for name, (present, _, _) in emotion_groups(table).items()},
        "auc": auc_rows(table, loudness),
        "conditions": condition_rows(table),
        "groups": group_rows(table, groups),
        "robustness": robustness_rows(table) if tested else [],
        "fairness": fairness_rows(table),
        "not_measured": {**(robustness.missing(measured) if tested else {}), **fairness.NOT_MEASURED},
        "speed": {
            model: float(seconds / (len(table.predictions[model]) * table.seconds.sum()))
            for model, seconds in table.compute_seconds.items()
        },
    }


def loudness_baseline(table: PredictionTable, fit: list[dict[str, Any]]) -> tuple[np.ndarray, str]:
    """Predict from the RMS level in dB alone, by least squares: (clips, 3), and on which clips the line was fitted.

    Fitted on other clips where there are any; else, for each speaker, on the clips of all others; else, for each clip,
    on all others.
    """
    if fit:
        level, target = np.array([row["level_db"] for row in fit]), np.array([row["target"] for row in fit], np.float64)
        return line(level, target, table.level_db), f"fitted on {len(fit)} clips of the training split"
    speakers = table.columns.get("speaker", np.array([]))
    if len(np.unique(speakers[speakers != ""])) > 1:
        parts, how = speakers, "fitted for each speaker on the clips of all others"
    else:
        parts, how = np.arange(len(table.clips)), "fitted for each clip on all others"
    prediction = np.full_like(table.target, np.nan)
    for part in np.unique(parts):
        own = parts == part
        if not own.all():
            prediction[own] = line(table.level_db[~own], table.target[~own], table.level_db[own])
    return prediction, how


def line(level_db: np.ndarray, target: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Least squares line from levels (n,) to targets (n, 3), at other levels (m,): (m, 3); NaN without two targets."""
    prediction = np.full((len(at), target.shape[1]), np.nan)
    for i, values in enumerate(target.T):
        rated = ~np.isnan(values)
        if rated.sum() >= 2:
            design = np.column_stack([level_db[rated], np.ones(rated.sum())])
            weights, *_ = np.linalg.lstsq(design, values[rated], rcond=None)
            prediction[:, i] = weights[0] * at + weights[1]
    return prediction


def score(prediction: np.ndarray, target: np.ndarray) -> dict[str, Any] | None:
    """CCC, Pearson and MAE of one dimension with their intervals; None without at least two targets."""
    both = ~np.isnan(target) & ~np.isnan(prediction)
    if both.sum() < 2:
        return None
    scores: dict[str, Any] = {"clips": int(both.sum())}
    for name, metric in METRICS.items():
        scores[name] = float(metric(prediction[both], target[both]))
        scores[f"{name}_interval"] = list(interval(metric, prediction[both], target[both]))
    return scores


def agreement_rows(table: PredictionTable, loudness: np.ndarray) -> list[dict[str, Any]]:
    """Scores of each model as recorded and level-normalised, and of loudness alone."""
    rows = []
    for model, condition, predictions in scored_runs(table, loudness):
        for i, dimension in enumerate(LABELS):
            scores = score(predictions[:, i], table.target[:, i])
            if scores is not None:
                rows.append({"model": model, "condition": condition, "dimension": dimension, **scores})
    return rows


def scored_runs(table: PredictionTable, loudness: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield model, condition and predictions (clips, 3) of the runs that are scored with intervals."""
    for model, by_condition in table.predictions.items():
        for condition in (AS_RECORDED, LEVEL_NORMALISED):
            yield model, condition.name, by_condition[condition.name]
    yield BASELINE, AS_RECORDED.name, loudness


def emotion_groups(table: PredictionTable) -> dict[str, tuple[dict[str, list[str]], np.ndarray, np.ndarray]]:
    """The groups of emotion words that the data have, by dimension: words that occur, and (clips,) bool of both groups.

    See [`AUC_GROUPS`]. A dimension with fewer than two clips in a group is left out.
    """
    found = {}
    for dimension, groups in AUC_GROUPS.items():
        high, low = (np.isin(table.emotions, words) for words in groups)
        if min(high.sum(), low.sum()) >= 2:
            words = {
                name: [word for word in group if word in table.emotions]
                for name, group in zip(("high", "low"), groups, strict=True)
            }
            found[dimension] = (words, high, low)
    return found


def auc_rows(table: PredictionTable, loudness: np.ndarray) -> list[dict[str, Any]]:
    """AUC between groups of emotion words, of each model as recorded and level-normalised, and of loudness alone."""
    rows = []
    for model, condition, predictions in scored_runs(table, loudness):
        for dimension, (_, high, low) in emotion_groups(table).items():
            values = predictions[:, LABELS.index(dimension)]
            pair = values[high & ~np.isnan(values)], values[low & ~np.isnan(values)]
            if min(map(len, pair)) < 2:
                continue
            scores = {"auc": float(auc(*pair)), "auc_interval": list(interval(auc, *pair, paired=False))}
            counts = {"high": len(pair[0]), "low": len(pair[1])}
            rows.append({"model": model, "condition": condition, "dimension": dimension, **counts, **scores})
    return rows


def condition_rows(table: PredictionTable) -> list[dict[str, Any]]:
    """CCC, and share of unchanged predictions, of each model under each condition."""
    rows = []
    for model, by_condition in table.predictions.items():
        recorded = by_condition[AS_RECORDED.name]
        for condition, predictions in by_condition.items():
            for i, dimension in enumerate(LABELS):
                rated = ~np.isnan(table.target[:, i])
                score = float(ccc(predictions[rated, i], table.target[rated, i])) if rated.sum() >= 2 else None
                share = float(unchanged(recorded[:, i], predictions[:, i]))
                rows.append(
                    {"model": model, "condition": condition, "dimension": dimension, "ccc": score, "unchanged": share}
                )
    return rows


def group_rows(table: PredictionTable, groups: list[str]) -> list[dict[str, Any]]:
    """Scores of each model for each value of each column, as recorded; a column with one value has no groups."""
    values = {column: np.unique(table.columns[column]) for column in groups}
    parts = [(column, group) for column in groups for group in values[column] if len(values[column]) > 1]
    rows = []
    for model, by_condition in table.predictions.items():
        for (column, group), (i, dimension) in product(parts, enumerate(LABELS)):
            own = (table.columns[column] == group) & ~np.isnan(table.target[:, i])
            if own.sum() < 2:
                continue
            prediction, target = by_condition[AS_RECORDED.name][own, i], table.target[own, i]
            row: dict[str, Any] = {"model": model, "column": column, "group": str(group), "dimension": dimension}
            row |= {"clips": int(own.sum()), "mean_error": float((prediction - target).mean())}
            rows.append(row | {name: float(metric(prediction, target)) for name, metric in METRICS.items()})
    return rows


def robustness_rows(table: PredictionTable) -> list[dict[str, Any]]:
    """Verdicts of the published robustness tests."""
    return [
        {
            "model": model,
            "group": result.test.group,
            "condition": result.test.condition,
            "measure": result.test.measure,
            "bar": result.test.bar,
            "values": result.values,
            "passed": result.passed,
            "published": result.test.published,
        }
        for model, by_condition in table.predictions.items()
        for result in robustness.judge(by_condition, table.target, AS_RECORDED.name)
    ]


def fairness_rows(table: PredictionTable) -> list[dict[str, Any]]:
    """Verdicts of the published tests of fairness, speakers and distributions, as recorded."""
    rows = []
    for model, by_condition in table.predictions.items():
        for i, dimension in enumerate(LABELS):
            rated = ~np.isnan(table.target[:, i])
            if rated.sum() < 2:
                continue
            columns = {column: values[rated] for column, values in table.columns.items()}
            prediction = by_condition[AS_RECORDED.name][rated, i]
            for result in fairness.judge(dimension, prediction, table.target[rated, i], columns):
                rows.append({"model": model, "dimension": dimension, **vars(result), "passed": result.passed})
    return rows
