"""`wav2small card`: the card of a checkpoint, of annotations or of the Space, from what was measured and recorded.

The templates in `hub_cards/` print; what they print is decided here. A card ends with a hash of itself, so that one
which somebody has edited is never overwritten.
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
from wav2small.inference.predictor import BUNDLED, ONNX_FILES
from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance import provenance
from wav2small.provenance.provenance import Provenance
from wav2small.shipped import shipped_folder

from ..evaluation.conditions import AS_RECORDED
from ..evaluation.plots import Content
from . import card_others, card_results, card_tables, card_text
from .card_results import RESULTS, SPEED, shown

CARD = "README.md"
TASK = "audio-classification"
TAGS = ["speech", "emotion", "speech-emotion-recognition", *LABELS, "wav2small"]
SEAL = "<!-- made by wav2small card: {} -->"
SMALLEST = ("q8", "fp16", "fp32")  # of the ONNX files, the first that there is
TARGETS = {"ratings": "people's ratings", "norms": "norms of emotion words", "teacher": "a teacher's answers"}


def write(
    folder: Path,
    runs: list[Path] | None = None,
    *,
    id: str | None = None,
    speed: bool = False,
    compare: list[Path] | None = None,
) -> Path:
    """Write the card of a folder, and keep beside it what it was filled from.

    Args:
        folder: a checkpoint, annotations, or the Space.
        runs: folders that `wav2small evaluate` wrote; their reports become `results/<name of the folder>.json`.
        id: on the Hub, for the code that the card shows; default: the folder. Of the Space: the model that it shows.
        speed: measure size, time and memory on this machine, into `results/speed.json`.
        compare: checkpoints to measure beside this one.

    Returns:
        Path of the card.

    Raises:
        Wav2SmallError: if the card was edited by hand, or something is missing or of other weights.
    """
    path = folder / CARD
    refuse_edited(path)
    files: dict[str, Content] = {}
    if (folder / "config.json").is_file():
        contents = card_results.read(folder, runs or [])
        measured = card_results.measure(folder, compare or []) if speed else card_results.read_speed(folder)
        text = model_card(folder, contents, measured, id)
        files = contents | ({SPEED: measured} if measured else {})
        (folder / RESULTS).mkdir(exist_ok=True)
    else:
        text = fill(**card_others.facts(folder, id))
    with ExitStack() as stack:  # all are written before the first takes its name
        for name, content in files.items():
            temporary = stack.enter_context(whole_file(folder / RESULTS / f"{name}.json"))
            temporary.write_text(card_results.dumps(content), encoding="utf-8")
        stack.enter_context(whole_file(path)).write_text(sealed(text), encoding="utf-8")
    return path


def sealed(text: str) -> str:
    """A card with a hash of itself as its last line."""
    text = text.rstrip() + "\n\n"
    return text + SEAL.format(hashlib.sha256(text.encode()).hexdigest()[:16]) + "\n"


def refuse_edited(path: Path) -> None:
    """Make sure that nobody's text is lost.

    Raises:
        Wav2SmallError: if there is a card which is not as it was made.
    """
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    if text != sealed(text.rpartition("<!--")[0]):
        raise Wav2SmallError(
            f"{path} was written or edited by hand and is left as it is: rename it, run this again, "
            "and carry over what you want to keep"
        )


def model_card(folder: Path, contents: dict[str, Content], speed: Content | None, id: str | None) -> str:
    """The card of a checkpoint.

    Args:
        folder: of the checkpoint.
        contents: reports of `wav2small evaluate`, by name.
        speed: what `measure` found.
        id: on the Hub.

    Raises:
        Wav2SmallError: if its kind of model has no template, or it does not say where it comes from.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    record = provenance.read_provenance(folder)
    onnx = next((kind for kind in SMALLEST if (folder / ONNX_FILES[kind]).is_file()), None)
    place = id or shown(folder)
    results = [card_tables.evaluation(content, folder) for content in contents.values()]
    results.append(card_tables.reading(list(contents.values())) if contents else card_tables.NOT_MEASURED)
    return fill(
        f"{config.get('model_type')}.md",
        metadata=model_metadata(record, contents, folder, bool(onnx)),
        title=record.name,
        id=place,
        config=config,
        load="" if folder.resolve() == BUNDLED.resolve() else json.dumps(place),
        onnx=ONNX_FILES[onnx] if onnx else "",
        dtype=onnx,
        summary=card_text.summary(record),
        scale=card_text.scale(speed, folder),
        members=card_text.members(config),
        files=card_tables.files(folder),
        speed=card_tables.speed(speed, folder),
        results="\n\n".join(results),
        origin=card_text.origin(record),
        licence=card_text.licence(record),
        judge=card_text.judge(record),
        limits=card_text.limits(record, contents, folder),
    )


def fill(template: str, *, metadata: CardData, **facts: Any) -> str:
    """Print facts in a template of `hub_cards/`.

    Raises:
        Wav2SmallError: if there is no such template.
    """
    folder = shipped_folder("hub_cards")
    if not (folder / template).is_file():
        raise Wav2SmallError(f"there is no card template {template}: config.json is not of a model of ours")
    loader = FileSystemLoader(folder)
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    facts |= {"metadata": metadata.to_yaml(), "version": version("wav2small")}
    return environment.get_template(template).render(facts)


def model_metadata(record: Provenance, contents: dict[str, Content], folder: Path, onnx: bool) -> CardData:
    """The front matter of a checkpoint: what the Hub reads."""
    results = list(eval_results(contents, folder))
    fields: dict[str, Any] = {**card_text.hub_licence(record.licence), **card_text.lineage(record)}
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


def check(folder: Path) -> None:
    """Make sure that the card of a checkpoint says what a user of the Hub must know, before it is published.

    Raises:
        Wav2SmallError: naming all that the card lacks, or what is of other weights.
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
    if lacking := [name for name, value in found.items() if not value]:
        raise Wav2SmallError(f"{path} lacks {'; '.join(lacking)}")
    card_results.read(folder, [])
