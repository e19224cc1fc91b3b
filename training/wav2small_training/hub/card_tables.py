"""What was measured -> the Markdown of a card; each number is read from the files in `results/`, or off the disk."""

from pathlib import Path
from typing import Any

from wav2small.inference.predictor import ONNX_FILES
from wav2small.models.adv import LABELS

from ..evaluation.conditions import AS_RECORDED, LEVEL_NORMALISED, VOICEFIXER
from ..evaluation.evaluate import USUAL_GROUPS
from ..evaluation.plots import Content, model_names
from ..evaluation.report import (
    AGREEMENT_NOTE,
    DISTORTIONS_NOTE,
    FAIRNESS_NOTE,
    ROBUSTNESS_NOTE,
    UNKNOWN,
    grid,
    interval,
    judged,
    number,
    shown,
    triple,
)
from ..evaluation.robustness import REFERENCES
from ..evaluation.scores import BARS, BASELINE
from . import card_results
from .card_results import WEIGHTS, this_model

NOT_MEASURED = "Not measured."
METRICS = {"ccc": "CCC", "pearson": "Pearson's r", "mae": "MAE"}
MEANING = {
    WEIGHTS: "transformers, with the code beside it (`trust_remote_code=True`)",
    ONNX_FILES["fp32"]: "ONNX, float",
    ONNX_FILES["fp16"]: "ONNX, half precision",
    ONNX_FILES["q8"]: "ONNX, weights in 8 bits",
    ONNX_FILES["q4"]: "ONNX, weights in 4 bits",
}


def files(folder: Path) -> str:
    """Files of weights with their bytes."""
    found = [[f"`{name}`", f"{(folder / name).stat().st_size:,}", MEANING[name]] for name in present(folder)]
    return grid(["file", "bytes", "what"], found)


def present(folder: Path) -> list[str]:
    """The files of weights that a checkpoint has."""
    return [name for name in MEANING if (folder / name).is_file()]


def speed(content: Content | None, folder: Path) -> str:
    """Size, cost, time and memory, of this model and of those that took turns with it."""
    if content is None:
        return f"{NOT_MEASURED} `wav2small card {card_results.shown(folder)} --speed` measures it."
    this = this_model(content["models"], folder, folder)
    models = [[named(one["name"], this), f"{one['values']:,}", f"{one['gmac']:.3f}"] for one in content["models"]]
    rows = []
    for row in content["rows"]:
        faster = 1000 * content["seconds"] / row["ms"]
        cells = [named(row["model"], this), f"`{row['file']}`", row["runtime"], f"{row['ms']:.1f}", f"{faster:.0f}"]
        rows.append([*cells, str(row["peak_mb"])])
    return "\n\n".join(
        [
            grid(["model", "values", f"GMAC for {content['seconds']:g} s"], models),
            grid(["model", "file", "runtime", "ms", "times real time", "peak memory (MB)"], rows),
            f"{content['seconds']:g} s of audio on one thread, {content['machine']}, {content['date']}; median times, "
            f"the files taking turns. Peak memory is that of the process: with numpy and ONNX Runtime imported and "
            f"nothing else it is {content['idle_mb']} MB. Values count parameters and the constants of the front end; "
            f"GMAC counts matrix products and convolutions, not the Fourier transforms of a prosody teacher. "
            f"Measured by `{content['command']}`.",
        ]
    )


def evaluation(content: Content, folder: Path) -> str:
    """One evaluation: agreement, groups, robustness, fairness."""
    this = this_model(content["settings"]["models"], folder, folder)
    data = content["settings"]["data"]
    chosen = [f"{column} = {value}" for column, value in data["where"].items()]
    chosen += [f"split {data['split']}"] if data["split"] != "train" else []
    parts = [
        f"### {title(content)}",
        f"{content['clips']} clips, {content['minutes']:.1f} minutes{''.join(f', {each}' for each in chosen)}. "
        f"{content['settings']['target']['text']} Measured by",
        f"```bash\n{command(content)}\n```",
        *agreement(content, this),
        *by_group(content, this),
        *(robustness(content, this) if content["robustness"] else [f"Robustness: {NOT_MEASURED.lower()}"]),
        *fairness(content, this),
    ]
    return "\n\n".join(parts)


def reading(contents: list[Content]) -> str:
    """What the tables of some evaluations mean, what stands in for something else, and what was not measured."""
    fits = " and ".join(f"{content['loudness_fit']} ({title(content)})" for content in contents)
    parts = ["### How to read the tables", AGREEMENT_NOTE.format(baseline=BASELINE, fit=fits, **BARS)]
    if any(content["robustness"] for content in contents):
        parts += [ROBUSTNESS_NOTE, DISTORTIONS_NOTE]
    notes = {name: note for content in contents for name, note in content["settings"]["conditions"].items() if note}
    absent = {name: reason for content in contents for name, reason in content["not_measured"].items()}
    stand_ins = "\n".join(f"- {name}: {note}." for name, note in notes.items())
    lacking = "\n".join(f"- {name}: {reason}." for name, reason in absent.items())
    parts += [FAIRNESS_NOTE]
    parts += ["Stand-ins:", stand_ins] if notes else []
    parts += ["Not measured:", lacking] if absent else []
    return "\n\n".join(parts)


def title(content: Content) -> str:
    """Name of the data: the last part of a path, or the id on the Hub with its configuration."""
    data = content["settings"]["data"]
    name = Path(data["source"]).name if data["local"] else data["source"]
    return f"{name}, {data['config']}" if data["config"] else name


def command(content: Content) -> str:
    """The call of `wav2small evaluate` that made a report."""
    settings = content["settings"]
    data, target = settings["data"], settings["target"]
    models = [model["source"] for model in settings["models"]]
    words = ["wav2small evaluate", *(source for source in models if source != "the bundled checkpoint")]
    words += [f"--data {data['source']}"]
    words += [f"--config {data['config']}"] if data["config"] else []
    words += [f"--split {data['split']}"] if data["split"] != "train" else []
    words += [f"--audio {data['audio']}"] if data["audio"] != "audio" else []
    words += [f"--where {column}={value}" for column, value in data["where"].items()]
    if target["kind"] == "ratings":
        pairs = ",".join(f"{dimension}={column}" for dimension, column in target["columns"].items())
        words += [f"--columns {pairs}", "--scale {:g} {:g}".format(*target["scale"])]
    else:
        words += [f"--emotion {target['column']}" if target["kind"] == "norms" else f"--teacher {target['source']}"]
    words += ["--conditions"] if content["robustness"] else []
    chosen = set(settings["columns"]) - set(USUAL_GROUPS)
    words += [f"--groups {','.join(settings['columns'])}"] if chosen else []
    words += [f"--{kind} {settings[kind]}" for kind in ("noise", "rooms") if settings[kind]]
    return " \\\n    ".join([*words, "--out OUT"])


def agreement(content: Content, this: str) -> list[str]:
    """Scores of all models with intervals, and those of the loudness baseline: a table for each metric."""
    runs = []
    for model in [*model_names(content), BASELINE]:
        for condition in (AS_RECORDED.name, LEVEL_NORMALISED.name):
            own = {row["dimension"]: row for row in content["agreement"] if by(row, model=model, condition=condition)}
            if own:
                runs.append(([named(model, this), condition], own))
    return [
        grid(
            ["model", "audio", *(f"{text}, {name}" for name in LABELS)],
            [head + [interval(own[name], metric) if name in own else "–" for name in LABELS] for head, own in runs],
        )
        for metric, text in METRICS.items()
    ]


def by_group(content: Content, this: str) -> list[str]:
    """Scores of all models by sex, language, speaker, or what else the data have."""
    parts = []
    for column in dict.fromkeys(row["column"] for row in content["groups"]):
        rows = []
        groups = list(dict.fromkeys(row["group"] for row in content["groups"] if row["column"] == column))
        for group in groups if len(groups) > 1 else []:
            for model in model_names(content):
                own = [row for row in content["groups"] if by(row, model=model, column=column, group=group)]
                each = {row["dimension"]: row for row in own}
                clips = str(max(row["clips"] for row in own))
                metrics = ("ccc", "pearson", "mean_error")
                scores = [triple([each.get(name, {}).get(metric) for name in LABELS]) for metric in metrics]
                rows.append([group or "(none)", named(model, this), clips, *scores])
        if rows:
            parts.append(
                grid([column, "model", "clips", "CCC, A/D/V", "Pearson's r, A/D/V", "mean error, A/D/V"], rows)
            )
    return ["**By group**", *parts] if parts else []


def robustness(content: Content, this: str) -> list[str]:
    """The published tests passed by each model, this model's values, and CCC under distortions."""
    header = ["test", "condition", "measure", "bar", *LABELS, *(f"{name}, A/D/V" for name in REFERENCES)]
    rows = []
    for row in content["robustness"]:
        if row["model"] == this:
            own = [judged(row["values"].get(name), row["passed"].get(name)) for name in LABELS]
            others = [triple([row["published"].get(name, UNKNOWN)[i] for name in LABELS]) for i in range(2)]
            rows.append([row["group"], row["condition"], row["measure"], f"≥ {row['bar']}", *own, *others])
    return [
        "**Robustness**: published tests passed",
        passed_table(content, this),
        folded("This model's values", grid(header, rows)),
        "**Distortions**",
        distortions(content, this),
    ]


def passed_table(content: Content, this: str) -> str:
    """How many of the published robustness tests each model passes, by kind of test."""
    kinds = list(dict.fromkeys(row["group"] for row in content["robustness"]))
    rows = []
    for model in model_names(content):
        own = [row for row in content["robustness"] if row["model"] == model]
        counted = []
        for kind in (None, *kinds):
            verdicts = [passed for row in own if kind in (None, row["group"]) for passed in row["passed"].values()]
            counted.append(f"{sum(verdicts)} of {len(verdicts)}")
        rows.append([named(model, this), *counted])
    return grid(["model", "all", *kinds], rows)


def distortions(content: Content, this: str) -> str:
    """CCC of each model, and share of this one's answers that do not change, under distortions."""
    found = {(row["model"], row["condition"], row["dimension"]): row for row in content["conditions"]}
    models = sorted(model_names(content), key=lambda model: model != this)
    rows = []
    for condition in [AS_RECORDED.name, *(each for members in VOICEFIXER.values() for each in members)]:
        if (this, condition, LABELS[0]) in found:
            scores = [triple([found[model, condition, name]["ccc"] for name in LABELS]) for model in models]
            rows.append([condition, triple([found[this, condition, name]["unchanged"] for name in LABELS]), *scores])
    return grid(["condition", "unchanged, A/D/V", *(f"CCC of {named(model, this)}, A/D/V" for model in models)], rows)


def fairness(content: Content, this: str) -> list[str]:
    """This model's values of the published tests of fairness, speakers and distributions."""
    own = [row for row in content["fairness"] if row["model"] == this]
    if not own:
        return [f"Fairness: {NOT_MEASURED.lower()}"]
    rows = []
    for row in own:
        value, others = judged(row["value"], row["passed"]), [number(each) for each in row["published"]]
        if not row["passed"] and row["chance"] is not None and abs(row["value"]) <= row["chance"]:
            value = f"{row['value']:.3f} fail, within chance"
        bar = f"{row['sign']} {row['bar']}"
        rows.append([row["test"], row["dimension"], value, bar, number(row["chance"]), row["clips"], *others])
    verdicts = [row["passed"] for row in own]
    header = ["test", "dimension", "value", "bar", "by chance", "on", *REFERENCES]
    summary = f"**Fairness, speakers, distribution**: {sum(verdicts)} of {len(verdicts)} published tests passed"
    return [summary, folded("This model's values", grid(header, rows))]


def folded(summary: str, text: str) -> str:
    """A part of a page that opens on demand."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def named(model: str, this: str) -> str:
    """Name of a model, this one marked."""
    return f"**{shown(model)}, this model**" if model == this else shown(model)


def by(row: dict[str, Any], **values: str) -> bool:
    """Whether a row has these values."""
    return all(row[key] == value for key, value in values.items())
