"""The numbers of an evaluation as `report.json`, `report.md` and plots."""

import json
from pathlib import Path
from typing import Any

from wav2small.atomic import whole_file
from wav2small.models.adv import LABELS

from . import plots
from .conditions import AS_RECORDED, LEVEL_NORMALISED, VOICEFIXER
from .plots import Content, model_names
from .robustness import REFERENCES
from .scores import BARS, BASELINE, FEW_GROUPS, AnswerTable

METRIC_NAMES = {"ccc": "CCC", "pearson": "Pearson", "mae": "MAE"}
UNKNOWN = (None, None)

AGREEMENT_NOTE = """\
In brackets: 95 % intervals by bootstrap over clips, with speakers and raters as they are. The {baseline} answers with a
straight line of the clip's RMS level in dB, {fit}: a model that hears more than loudness must beat it. Published
targets (audeering/ser-tests): CCC at least {ccc}, MAE at most {mae}."""
ROBUSTNESS_NOTE = """\
Tests, bars and the values of the two reference models: audeering/ser-tests, MSP-Podcast Test-1 (room: TIMIT), models
trained on human labels. Their audio is not this audio, and some conditions are stand-ins (see below): a frame, not a
ranking. *unchanged*: share of clips whose answer moves by less than 0.05. *CCC change*: CCC to the target under the
condition minus CCC as recorded. A model that always gives the same answer passes all of them: read them beside the
agreement."""
DISTORTIONS_NOTE = """\
Noise, reverberation, low resolution and clipping of VoiceFixer (arXiv 2109.13731), at strengths of our choice. Noise:
recordings, at that ratio of RMS. Reverberation: the given rooms in thirds by clarity (C50). Resolution: a sampling
rate; those from 16 to 44.1 kHz change nothing here, for the audio has 16 kHz. Clipping: at that share of the peak; at
1.0 nothing changes."""
FAIRNESS_NOTE = """\
Tests, bars and the values of the two reference models: audeering/ser-tests, MSP-Podcast Test-1 (by sex: without their
sign). *group - all*: the group that differs most from all clips; for sex, in sets balanced by target with up to 1,000
clips a group, for which the bars are made. *by chance*: what a rater without any bias stays below in 95 % of runs with
as many clips; a failure below it says nothing. Where a group has few speakers, its gap may be theirs. Speakers and
groups count from 10 clips, a ranking from 5 speakers."""


def write(out: Path, settings: dict[str, Any], numbers: dict[str, Any], table: AnswerTable) -> Content:
    """Write the report into a folder, each file whole or not at all; give the content of `report.json`."""
    content = json.loads(json.dumps({"settings": settings, **numbers}, allow_nan=False))
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
    parts = [*head(content), *agreement(content)]
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
    rows = []
    for model in settings["models"]:
        faster = f"{1 / content['speed'][model['name']]:.0f} times"
        rows.append([shown(model["name"]), model["source"], model["runtime"], model["weights"], faster])
    return [*parts, grid(["model", "checkpoint", "runtime", "weights", "faster than real time"], rows)]


def agreement(content: Content) -> list[str]:
    """Scores with intervals; the loudness baseline and the level-normalised run beside them."""
    parts = ["## Agreement", "![Answers over targets](agreement.png)"]
    for dimension in LABELS:
        rows = []
        for row in content["agreement"]:
            if row["dimension"] == dimension:
                scores = [with_interval(row, name) for name in METRIC_NAMES]
                rows.append([shown(row["model"]), row["condition"], str(row["clips"]), *scores])
        if rows:
            parts += [f"### {dimension.capitalize()}", grid(["model", "audio", "clips", *METRIC_NAMES.values()], rows)]
    return [*parts, AGREEMENT_NOTE.format(baseline=BASELINE, fit=content["loudness_fit"], **BARS)]


def interval(row: dict[str, Any], name: str) -> str:
    """A score and its interval."""
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.3f} [{low:.3f}, {high:.3f}]"


def with_interval(row: dict[str, Any], name: str) -> str:
    """A score, its interval and, where there is a bar, a verdict."""
    text = interval(row, name)
    if name not in BARS or row["model"] == BASELINE:
        return text
    return f"{text} {verdict(row[name] >= BARS[name] if name == 'ccc' else row[name] <= BARS[name])}"


def robustness(content: Content) -> list[str]:
    """The published robustness tests, model by model."""
    parts = ["## Robustness", "![Share of unchanged answers](robustness.png)"]
    for model in model_names(content):
        rows, verdicts = [], []
        for row in content["robustness"]:
            if row["model"] == model:
                own = [judged(row["values"].get(name), row["passed"].get(name)) for name in LABELS]
                others = [triple([row["published"].get(name, UNKNOWN)[i] for name in LABELS]) for i in range(2)]
                rows.append([row["group"], row["condition"], row["measure"], f"≥ {row['bar']}", *own, *others])
                verdicts += row["passed"].values()
        header = ["test", "condition", "measure", "bar", *LABELS, *(f"{name} A/D/V" for name in REFERENCES)]
        parts += [f"### {shown(model)}: {sum(verdicts)} of {len(verdicts)} passed", grid(header, rows)]
    return [*parts, ROBUSTNESS_NOTE]


def distortions(content: Content) -> list[str]:
    """VoiceFixer's four distortions at several strengths."""
    found = {(row["model"], row["condition"], row["dimension"]): row for row in content["conditions"]}
    strengths = [condition for members in VOICEFIXER.values() for condition in members]
    parts = ["## Distortions", "![CCC under distortions](distortions.png)"]
    for model in model_names(content):
        rows = []
        for condition in [AS_RECORDED.name, LEVEL_NORMALISED.name, *strengths]:
            if (model, condition, LABELS[0]) in found:
                own = [found[model, condition, name] for name in LABELS]
                rows.append([condition, *(triple([row[measure] for row in own]) for measure in ("ccc", "unchanged"))])
        parts += [f"### {shown(model)}", grid(["condition", "CCC A/D/V", "unchanged A/D/V"], rows)]
    return [*parts, DISTORTIONS_NOTE]


def fairness(content: Content) -> list[str]:
    """The published tests of fairness, speakers and distributions."""
    parts = ["## Fairness, speakers, distribution"]
    for model in model_names(content):
        rows = []
        for row in content["fairness"]:
            if row["model"] == model:
                bar = f"{row['sign']} {row['bar']}"
                value, others = judged(row["value"], row["passed"]), [number(value) for value in row["published"]]
                if not row["passed"] and row["chance"] is not None and abs(row["value"]) <= row["chance"]:
                    value = f"{row['value']:.3f} fail, within chance"
                rows.append([row["test"], row["dimension"], value, bar, number(row["chance"]), row["clips"], *others])
        header = ["test", "dimension", "value", "bar", "by chance", "on", *REFERENCES]
        parts += [f"### {shown(model)}", grid(header, rows)]
    return [*parts, FAIRNESS_NOTE]


def groups(content: Content) -> list[str]:
    """Scores by group, for columns with few values."""
    parts = []
    for model in model_names(content):
        for column in dict.fromkeys(row["column"] for row in content["groups"]):
            own = [row for row in content["groups"] if (row["model"], row["column"]) == (model, column)]
            if len({row["group"] for row in own}) > FEW_GROUPS:
                continue
            rows = []
            for row in own:
                scores = [f"{row[name]:.3f}" for name in (*METRIC_NAMES, "mean_error")]
                rows.append([row["group"] or "(none)", row["dimension"], str(row["clips"]), *scores])
            header = [column, "dimension", "clips", *METRIC_NAMES.values(), "mean error"]
            parts += [f"### {shown(model)}, by {column}", grid(header, rows)]
    return ["## Groups", *parts] if parts else []


def limits(content: Content) -> list[str]:
    """What stands in for something else, and what was not measured."""
    notes = [f"- {name}: {note}." for name, note in content["settings"]["conditions"].items() if note]
    absent = [f"- {name}: {reason}." for name, reason in content["not_measured"].items()]
    parts = ["## Stand-ins", "\n".join(notes)] if notes else []
    return [*parts, "## Not measured", "\n".join(absent)]


def grid(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *rows])


def shown(model: str) -> str:
    """Name of a model in the text."""
    return model if model == BASELINE else f"`{model}`"


def verdict(passed: bool) -> str:
    """One word, bold where it is bad."""
    return "pass" if passed else "**fail**"


def judged(value: float | None, passed: bool | None) -> str:
    """A number with its verdict, or a dash."""
    return "–" if value is None or passed is None else f"{value:.3f} {verdict(passed)}"


def number(value: float | None) -> str:
    """Two digits, or a dash."""
    return "–" if value is None else f"{value:.2f}"


def triple(values: list[float | None]) -> str:
    """Three numbers in one cell."""
    return "–" if all(value is None for value in values) else " / ".join(number(value) for value in values)
