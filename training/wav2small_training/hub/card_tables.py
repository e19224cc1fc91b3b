"""What was measured -> the Markdown of a card; each number is read from the files in `results/`, or off the disk."""

from pathlib import Path

from wav2small.inference.predictor import ONNX_FILES

from ..evaluation.evaluate import USUAL_GROUPS
from ..evaluation.plots import Content
from ..evaluation.report import AGREEMENT_NOTE, AUC_NOTE, DISTORTIONS_NOTE, FAIRNESS_NOTE, ROBUSTNESS_NOTE
from ..evaluation.report_tables import (
    METRIC_NAMES,
    Label,
    auc_tables,
    code_label,
    distortion_table,
    fairness_table,
    group_tables,
    metric_table,
    passed_table,
    robustness_table,
    select,
)
from ..evaluation.scores import BARS, BASELINE
from ..tables import grid
from . import card_results
from .card_results import WEIGHTS, this_model

NOT_MEASURED = "Not measured."
MEANING = {
    WEIGHTS: "transformers, with the code beside it (`trust_remote_code=True`)",
    ONNX_FILES["fp32"]: "ONNX, float",
    ONNX_FILES["fp16"]: "ONNX, half precision",
    ONNX_FILES["q8"]: "ONNX, weights in 8 bits",
    ONNX_FILES["q4"]: "ONNX, weights in 4 bits",
}


def files(folder: Path) -> str:
    """Files of weights with their bytes."""
    found = [[f"`{name}`", f"{(folder / name).stat().st_size:,}", MEANING[name]] for name in weight_files(folder)]
    return grid(["file", "bytes", "content"], found)


def weight_files(folder: Path) -> list[str]:
    """The files of weights that a checkpoint has."""
    return [name for name in MEANING if (folder / name).is_file()]


def speed(content: Content | None, folder: Path) -> str:
    """Size, cost, time and memory, of this model and of those that were measured beside it."""
    if content is None:
        return f"{NOT_MEASURED} `wav2small card {card_results.public_path(folder)} --speed` measures it."
    label = marked(this_model(content["models"], folder, folder))
    models = [[label(one["name"]), f"{one['values']:,}", f"{one['gmac']:.3f}"] for one in content["models"]]
    rows = []
    for row in content["rows"]:
        faster = 1000 * content["seconds"] / row["ms"]
        cells = [label(row["model"]), f"`{row['file']}`", row["runtime"], f"{row['ms']:.1f}", f"{faster:.0f}"]
        rows.append([*cells, str(row["peak_mb"])])
    return "\n\n".join(
        [
            grid(["model", "values", f"GMAC for {content['seconds']:g} s"], models),
            grid(["model", "file", "runtime", "ms", "times real time", "peak memory (MB)"], rows),
            f"{content['seconds']:g} s of audio on one thread, {content['machine']}, {content['date']}; median times, "
            f"the files taking turns. Peak memory is that of the process; a process that only imports numpy and ONNX "
            f"Runtime needs {content['idle_mb']} MB. Values count parameters and the constants of the front end; "
            f"GMAC counts matrix products and convolutions, not Fourier transforms. "
            f"Measured by `{content['command']}`.",
        ]
    )


def evaluation(content: Content, folder: Path) -> str:
    """One evaluation: agreement, groups, robustness, fairness."""
    this = this_model(content["settings"]["models"], folder, folder)
    label, data = marked(this), content["settings"]["data"]
    chosen = [f"{column} = {value}" for column, value in data["where"].items()]
    chosen += [f"split {data['split']}"] if data["split"] != "train" else []
    parts = [
        f"### {title(content)}",
        f"{content['clips']} clips, {content['minutes']:.1f} minutes{''.join(f', {each}' for each in chosen)}. "
        f"{content['settings']['target']['text']} Measured by",
        f"```bash\n{command(content)}\n```",
        *agreement(content, label),
        *by_group(content, label),
        *(robustness(content, this, label) if content["robustness"] else [f"Robustness: {NOT_MEASURED.lower()}"]),
        *fairness(content, this),
    ]
    return "\n\n".join(parts)


def notes(contents: list[Content]) -> str:
    """What the tables of some evaluations mean, what is a substitute, and what was not measured."""
    fits = " and ".join(f"{content['loudness_fit']} ({title(content)})" for content in contents)
    parts = ["### How to read the tables", AGREEMENT_NOTE.format(baseline=BASELINE, fit=fits, **BARS)]
    if any(content.get("auc") for content in contents):
        parts.append(AUC_NOTE)
    if any(content["robustness"] for content in contents):
        parts += [ROBUSTNESS_NOTE, DISTORTIONS_NOTE]
    substitutes = {
        name: note for content in contents for name, note in content["settings"]["conditions"].items() if note
    }
    absent = {name: reason for content in contents for name, reason in content["not_measured"].items()}
    listed = "\n".join(f"- {name}: {note}." for name, note in substitutes.items())
    lacking = "\n".join(f"- {name}: {reason}." for name, reason in absent.items())
    parts += [FAIRNESS_NOTE]
    parts += ["Substitutes:", listed] if substitutes else []
    parts += ["Not measured:", lacking] if absent else []
    return "\n\n".join(parts)


def title(content: Content) -> str:
    """Name of the data: the last part of a path, or the id on the Hub with its configuration."""
    data = content["settings"]["data"]
    name = Path(data["source"]).name if data["local"] else data["source"]
    return f"{name}, {data['config']}" if data["config"] else name


def command(content: Content) -> str:
    """The call of `wav2small evaluate` that wrote a report."""
    settings = content["settings"]
    data, target = settings["data"], settings["target"]
    models = [model["source"] for model in settings["models"]]
    words = ["wav2small evaluate", *models]
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


def by_group(content: Content, label: Label) -> list[str]:
    """Scores of all models by sex, language, speaker or another column."""
    tables = group_tables(content, label)
    return ["**By group**", *tables] if tables else []


def agreement(content: Content, label: Label) -> list[str]:
    """Scores of all models with intervals, and those of the loudness baseline: a table for each metric."""
    tables = [metric_table(content, content["agreement"], name, title, label) for name, title in METRIC_NAMES.items()]
    aucs = auc_tables(content, label)
    return [*tables, *(["**Emotion words**", *aucs] if aucs else [])]


def robustness(content: Content, this: str, label: Label) -> list[str]:
    """The published tests passed by each model, this model's values, and CCC under distortions."""
    return [
        "**Robustness**: published tests passed",
        passed_table(content, label),
        folded("This model's values", robustness_table(content, this)),
        "**Distortions**",
        distortion_table(content, label, this),
    ]


def fairness(content: Content, this: str) -> list[str]:
    """This model's values of the published tests of fairness, speakers and distribution."""
    verdicts = [row["passed"] for row in select(content["fairness"], model=this)]
    if not verdicts:
        return [f"Fairness: {NOT_MEASURED.lower()}"]
    summary = f"**Fairness, speakers, distribution**: {sum(verdicts)} of {len(verdicts)} published tests passed"
    return [summary, folded("This model's values", fairness_table(content, this))]


def folded(summary: str, text: str) -> str:
    """A part of a page that opens on a click."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def marked(this: str) -> Label:
    """Names of models in the tables of a card: `this` one in bold."""

    def label(model: str) -> str:
        return f"**{code_label(model)}, this model**" if model == this else code_label(model)

    return label
