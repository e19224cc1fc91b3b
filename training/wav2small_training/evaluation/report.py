"""The numbers of an evaluation as `report.json`, `report.md` and plots."""

import json
from pathlib import Path
from typing import Any

from wav2small.atomic import whole_file
from wav2small.models.adv import LABELS

from ..tables import grid, interval, verdict
from . import plots
from .plots import Content, model_names
from .report_tables import (
    METRIC_NAMES,
    auc_tables,
    code_label,
    distortion_table,
    fairness_table,
    group_tables,
    passed_table,
    robustness_table,
    select,
)
from .scores import BARS, BASELINE, PredictionTable

AGREEMENT_NOTE = """\
In brackets: 95 % confidence intervals by bootstrap over clips; they do not cover the choice of speakers and raters. The
{baseline} predicts with a straight line of the clip's RMS level in dB, {fit}: a model that uses more than loudness must
beat it. Published targets (audeering/ser-tests): CCC at least {ccc}, MAE at most {mae}."""
AUC_NOTE = """\
AUC: the probability that a clip of the first group is predicted higher than one of the second group; .5 is chance. It
needs no norms, and no shift or stretch of the predictions changes it. The speakers acted the emotion words;
nobody rated these voices."""
ROBUSTNESS_NOTE = """\
Tests, bars and the values of the two reference models: audeering/ser-tests, MSP-Podcast Test-1 (room: TIMIT), models
trained on human ratings. They were measured on other audio, and some conditions are substitutes (see below): a frame,
not a ranking. *unchanged*: share of clips whose prediction moves by less than 0.05. *CCC change*: CCC to the target
under the condition minus CCC as recorded. A model with a constant prediction passes all of them: read them beside the
agreement."""
DISTORTIONS_NOTE = """\
Noise, reverberation, low resolution and clipping of VoiceFixer (arXiv 2109.13731), at strengths that we chose. Noise:
recordings, at that ratio of RMS. Reverberation: the given room impulse responses in thirds by clarity (C50).
Resolution: a sampling rate; those from 16 to 44.1 kHz change nothing here, since the audio has 16 kHz. Clipping: at
that share of the peak; at 1.0 nothing changes."""
FAIRNESS_NOTE = """\
Tests, bars and the values of the two reference models: audeering/ser-tests, MSP-Podcast Test-1 (by sex: without their
sign). *group - all*: the group that differs most from all clips; for sex, in sets balanced by target with up to 1,000
clips a group, for which the bars are made. *by chance*: the value of a rater without bias is below it in 95 % of runs
with as many clips; a failure below it means nothing. Where a group has few speakers, its gap may be that of the
speakers. Speakers and groups count from 10 clips, a ranking from 5 speakers."""


def write_report(out: Path, settings: dict[str, Any], numbers: dict[str, Any], table: PredictionTable) -> Content:
    """Write the report into a folder, each file whole or not at all; returns the content of `report.json`."""
    content: Content = json.loads(json.dumps({"settings": settings, **numbers}, allow_nan=False))
    figures = {"agreement.png": plots.agreement(content, table)}
    if content["robustness"]:
        figures |= {"robustness.png": plots.robustness(content), "distortions.png": plots.distortions(content)}
    for name, figure in figures.items():
        with whole_file(out / name) as temporary:
            figure.savefig(temporary, dpi=110)
    texts = {"report.json": json.dumps(content, indent=1) + "\n", "report.md": markdown(content)}
    for name, text in texts.items():
        with whole_file(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return content


def markdown(content: Content) -> str:
    """The report as Markdown; every number in it is one of `report.json`."""
    parts = [*head(content), *agreement(content), *emotion_words(content)]
    if content["robustness"]:
        parts += [*robustness(content), *distortions(content)]
    return "\n\n".join([*parts, *fairness(content), *groups(content), *limits(content)]) + "\n"


def head(content: Content) -> list[str]:
    """What was evaluated, on what, against what."""
    settings, skipped = content["settings"], content["skipped"]
    data = settings["data"]
    chosen = [f"{column} = {value}" for column, value in data["where"].items()]
    chosen += [f"split {data['split']}"] if data["split"] != "train" else []
    where = f" ({', '.join(chosen)})" if chosen else ""
    parts = [
        "# Evaluation",
        f"Data: `{data['source']}`{where}, {content['clips']} clips, {content['minutes']:.1f} minutes.",
        f"Target: {settings['target']['text']}",
    ]
    if skipped:
        first = "; ".join(f"`{clip}`: {reason}" for clip, reason in list(skipped.items())[:3])
        parts.append(f"Skipped: {len(skipped)} of {len(skipped) + content['clips']} clips. The first: {first}.")
    if heard := content.get("trained_on"):
        named = ", ".join(code_label(name) for name in heard)
        parts.append(
            f"Other clips of this corpus, or these, were training clips of {named}: figures on clips or speakers "
            "that a model has heard flatter it."
        )
    rows = []
    for model in settings["models"]:
        faster = f"{1 / content['speed'][model['name']]:.0f} times"
        rows.append([code_label(model["name"]), model["source"], model["runtime"], model["weights"], faster])
    return [*parts, grid(["model", "checkpoint", "runtime", "weights", "faster than real time"], rows)]


def agreement(content: Content) -> list[str]:
    """Scores with intervals and verdicts; the loudness baseline and the level-normalised run beside them."""
    parts = ["## Agreement", "![Predictions over targets](agreement.png)"]
    for dimension in LABELS:
        rows = [
            [
                code_label(row["model"]),
                row["condition"],
                str(row["clips"]),
                *(score_and_verdict(row, name) for name in METRIC_NAMES),
            ]
            for row in select(content["agreement"], dimension=dimension)
        ]
        if rows:
            parts += [f"### {dimension.capitalize()}", grid(["model", "audio", "clips", *METRIC_NAMES.values()], rows)]
    return [*parts, AGREEMENT_NOTE.format(baseline=BASELINE, fit=content["loudness_fit"], **BARS)]


def score_and_verdict(row: dict[str, Any], name: str) -> str:
    """A score, its interval and, where there is a bar, a verdict."""
    text = interval(row, name)
    if name not in BARS or row["model"] == BASELINE:
        return text
    return f"{text} {verdict(row[name] >= BARS[name] if name == 'ccc' else row[name] <= BARS[name])}"


def emotion_words(content: Content) -> list[str]:
    """AUC between groups of acted emotion words."""
    tables = auc_tables(content, code_label)
    return ["## Emotion words", *tables, AUC_NOTE] if tables else []


def robustness(content: Content) -> list[str]:
    """The published robustness tests, model by model."""
    parts = ["## Robustness", "![Share of unchanged predictions](robustness.png)", passed_table(content, code_label)]
    for model in model_names(content):
        parts += [f"### {code_label(model)}", robustness_table(content, model)]
    return [*parts, ROBUSTNESS_NOTE]


def distortions(content: Content) -> list[str]:
    """VoiceFixer's four distortions at several strengths."""
    parts = ["## Distortions", "![CCC under distortions](distortions.png)"]
    parts.append(distortion_table(content, code_label, model_names(content)[0]))
    return [*parts, DISTORTIONS_NOTE]


def fairness(content: Content) -> list[str]:
    """The published tests of fairness, speakers and distributions."""
    parts = ["## Fairness, speakers, distribution"]
    for model in model_names(content):
        parts += [f"### {code_label(model)}", fairness_table(content, model)]
    return [*parts, FAIRNESS_NOTE]


def groups(content: Content) -> list[str]:
    """Scores by group, for columns with few values."""
    tables = group_tables(content, code_label)
    return ["## Groups", *tables] if tables else []


def limits(content: Content) -> list[str]:
    """What is a substitute for something else, and what was not measured."""
    notes = [f"- {name}: {note}." for name, note in content["settings"]["conditions"].items() if note]
    absent = [f"- {name}: {reason}." for name, reason in content["not_measured"].items()]
    parts = ["## Substitutes", "\n".join(notes)] if notes else []
    return [*parts, "## Not measured", "\n".join(absent)]
