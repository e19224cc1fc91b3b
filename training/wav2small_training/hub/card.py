"""`wav2small card`: the card of a checkpoint or of teacher labels, from what was measured and recorded.

The templates in `hub_cards/` hold the text, this module the facts. A card ends with a hash of its text, so that an
edited one is never overwritten.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import CardData, EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from wav2small.atomic import whole_file
from wav2small.bundled import bundled_name
from wav2small.cli.notice import LAW
from wav2small.inference.catalogue import RESULTS
from wav2small.inference.predictor import ONNX_FILES
from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance import provenance
from wav2small.provenance.provenance import Provenance
from wav2small.shipped import shipped_folder

from ..evaluation.conditions import AS_RECORDED
from ..evaluation.plots import Content
from . import card_dataset, card_lead, card_results, card_tables, card_text
from .card_results import SPEED, public_path

CARD = "README.md"
TASK = "audio-classification"
TAGS = ["speech", "emotion", "speech-emotion-recognition", *LABELS, "wav2small"]
SEAL = "<!-- made by wav2small card: {} -->"
SMALLEST = ("q8", "fp16", "fp32")  # of the ONNX files, the first that there is
TARGETS = {"ratings": "people's ratings", "norms": "norms of emotion words", "teacher": "teacher labels"}


def write_card(
    folder: Path,
    runs: list[Path] | None = None,
    *,
    id: str | None = None,
    speed: bool = False,
    compare: list[Path] | None = None,
) -> Path:
    """Write the card of a folder, and beside it the results that it shows.

    Args:
        folder: a checkpoint, or teacher labels.
        runs: folders that `wav2small evaluate` wrote; their reports become `results/<name of the folder>.json`.
        id: id on the Hub, for the code that the card shows; default: the folder.
        speed: measure size, time and memory on this machine, into `results/speed.json`.
        compare: checkpoints to measure beside this one.

    Returns:
        Path of the card.

    Raises:
        Wav2SmallError: if the card was edited by hand, something is missing, or results are of other weights.
    """
    path = folder / CARD
    check_unedited(path)
    files: dict[str, Content] = {}
    if (folder / "config.json").is_file():
        contents = card_results.read_results(folder, runs or [])
        record = provenance.read_provenance(folder)
        figure = card_lead.plot(contents.values(), folder, record) if contents else None
        measured = card_results.measure_speed(folder, compare or []) if speed else card_results.read_speed(folder)
        text = model_card(folder, contents, measured, id)
        files = contents | ({SPEED: measured} if measured else {})
        (folder / RESULTS).mkdir(exist_ok=True)
    else:
        text, figure = render(**card_dataset.facts(folder, id)), None
    with ExitStack() as stack:  # all are written before the first is renamed
        for name, content in files.items():
            temporary = stack.enter_context(whole_file(folder / RESULTS / f"{name}.json"))
            temporary.write_text(card_results.to_json(content), encoding="utf-8")
        if figure:
            figure.savefig(stack.enter_context(whole_file(folder / card_lead.PLOT)), dpi=110, format="png")
        stack.enter_context(whole_file(path)).write_text(add_seal(text), encoding="utf-8")
    return path


def add_seal(text: str) -> str:
    """Append the hash of a card as its last line."""
    text = text.rstrip() + "\n\n"
    return text + SEAL.format(hashlib.sha256(text.encode()).hexdigest()[:16]) + "\n"


def check_unedited(path: Path) -> None:
    """Make sure that no text written by hand is lost.

    Raises:
        Wav2SmallError: if the card is not as it was written by `wav2small card`.
    """
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    if text != add_seal(text.rpartition("<!--")[0]):
        raise Wav2SmallError(
            f"{path} was edited by hand and stays as it is: rename it, run this again, and copy what you want to keep"
        )


def model_card(folder: Path, contents: dict[str, Content], speed: Content | None, id: str | None) -> str:
    """Render the card of a checkpoint.

    Args:
        folder: of the checkpoint.
        contents: reports of `wav2small evaluate`, by name.
        speed: what `measure_speed` found.
        id: on the Hub.

    Raises:
        Wav2SmallError: if its kind of model has no template, or it has no provenance.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    record = provenance.read_provenance(folder)
    onnx = next((kind for kind in SMALLEST if (folder / ONNX_FILES[kind]).is_file()), None)
    place = id or public_path(folder)
    results = [card_tables.evaluation(content, folder) for content in contents.values()]
    results.append(card_tables.notes(list(contents.values())) if contents else card_tables.NOT_MEASURED)
    return render(
        f"{config.get('model_type')}.md",
        metadata=model_metadata(record, contents, folder, bool(onnx)),
        title=record.name,
        id=place,
        config=config,
        load=json.dumps(bundled_name(folder) or place),
        onnx=ONNX_FILES[onnx] if onnx else "",
        dtype=onnx,
        summary=card_text.summary(record, config),
        facts=card_lead.facts(speed, folder, record.licence),
        lead=card_lead.table(contents.values(), folder, record),
        plot=card_lead.PLOT if contents else "",
        length=card_text.length(config),
        members=card_text.members(config),
        files=card_tables.files(folder),
        speed=card_tables.speed(speed, folder),
        results="\n\n".join(results),
        origin=card_text.origin(record),
        licence=card_text.licence(record),
        judge=card_text.judge(record),
        law=LAW,
        limits=card_text.limits(record, contents, folder, config),
    )


def render(template: str, *, metadata: CardData, **facts: Any) -> str:
    """Fill a template of `hub_cards/` with facts.

    Raises:
        Wav2SmallError: if there is no such template.
    """
    folder = shipped_folder("hub_cards")
    if not (folder / template).is_file():
        raise Wav2SmallError(f"there is no card template {template}: config.json is not that of a model of ours")
    loader = FileSystemLoader(folder)
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    facts |= {"metadata": metadata.to_yaml(), "version": version("wav2small")}
    return environment.get_template(template).render(facts)


def model_metadata(record: Provenance, contents: dict[str, Content], folder: Path, onnx: bool) -> CardData:
    """The front matter of a checkpoint: what the Hub reads."""
    results = list(eval_results(contents, folder))
    fields: dict[str, Any] = {**card_text.hub_licence(record.licence), **card_text.sources_on_hub(record)}
    if results:
        fields |= {"model_name": record.name, "eval_results": results, "metrics": ["ccc", "pearsonr", "mae"]}
    tags = [*TAGS, "custom_code", *(["onnx", "transformers.js"] if onnx else [])]
    return ModelCardData(library_name="transformers", pipeline_tag=TASK, tags=tags, **fields)


def eval_results(contents: dict[str, Content], folder: Path) -> Iterator[EvalResult]:
    """CCC of this checkpoint by data set and dimension, as the Hub shows it beside the card."""
    for content in contents.values():
        this = card_results.this_model(content["settings"]["models"], folder, folder)
        data, target = content["settings"]["data"], content["settings"]["target"]["kind"]
        name = card_tables.title(content)
        for row in content["agreement"]:
            if row["model"] == this and row["condition"] == AS_RECORDED.name:
                yield EvalResult(
                    task_type=TASK,
                    dataset_type=name if data["local"] else data["source"],
                    dataset_name=name,
                    dataset_config=data["config"],
                    dataset_split=data["where"].get("split", data["split"]),
                    dataset_revision=data["revision"],
                    metric_type="ccc",
                    metric_name=f"CCC of {row['dimension']}, to {TARGETS[target]}",
                    metric_value=round(row["ccc"], 3),
                    metric_args={"interval_95": [round(end, 3) for end in row["ccc_interval"]]},
                )


def check_card(folder: Path) -> None:
    """Make sure that a card says what a user of the Hub must know, before it is published.

    Raises:
        Wav2SmallError: naming all that the card lacks, or results of other weights.
    """
    path = folder / CARD
    if not path.is_file():
        raise Wav2SmallError(f"{folder} has no card: write it with `wav2small card {folder}`")
    try:
        card = ModelCard.load(path)
    except ValueError as error:
        raise Wav2SmallError(f"the front matter of {path} cannot be read: {str(error).splitlines()[0]}") from None
    found = {
        "license": card.data.license,
        "pipeline_tag": card.data.pipeline_tag,
        "library_name": card.data.library_name,
        "results (`wav2small evaluate`, then `wav2small card --results`)": card.data.eval_results,
        "speed (`wav2small card --speed`)": card_results.read_speed(folder),
        "code that shows its use": re.search(r"^```python", card.text, re.MULTILINE),
    }
    if card_lead.PLOT in card.text and not (folder / card_lead.PLOT).is_file():
        found[f"{card_lead.PLOT} (`wav2small card`)"] = None
    if lacking := [name for name, value in found.items() if not value]:
        raise Wav2SmallError(f"{path} lacks {'; '.join(lacking)}")
    card_results.read_results(folder, [])
