"""The cards of what is no model: a folder of annotations, and the Space."""

import re
from pathlib import Path
from typing import Any

import pyarrow.dataset
from huggingface_hub import DatasetCardData, SpaceCardData
from pyarrow import Table

from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance import provenance

from ..evaluation.report import grid
from . import card_text
from .card_results import load, shown

ANNOTATIONS = "annotations.json"  # annotate writes it at its end
APP = "app.py"


def facts(folder: Path, id: str | None) -> dict[str, Any]:
    """What the template of a folder that is no model needs; `template` names it.

    Args:
        folder: of annotations, or of the Space.
        id: of the annotations, or of the model that the Space shows, on the Hub.

    Raises:
        Wav2SmallError: if the folder is neither.
    """
    if (folder / ANNOTATIONS).is_file():
        return annotations(folder, id)
    if (folder / APP).is_file():
        return space(folder, id)
    raise Wav2SmallError(
        f"{folder} is no checkpoint (config.json), no Space ({APP}), and holds no complete annotations ({ANNOTATIONS})"
    )


def annotations(folder: Path, id: str | None) -> dict[str, Any]:
    """What a folder of annotations holds: rows, recordings and hours by corpus, mean and deviation of the answers."""
    record = provenance.read_provenance(folder)
    table = pyarrow.dataset.dataset(sorted(map(str, folder.glob("*.parquet"))), format="parquet").to_table()
    fields: dict[str, Any] = {**card_text.hub_licence(record.licence)}
    title = f"Answers of {card_text.names(record.teachers) or 'a teacher'}"
    return {
        "template": "dataset.md",
        "metadata": DatasetCardData(
            **fields,
            pretty_name=re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title),
            task_categories=["audio-classification"],
            size_categories=size(table.num_rows),
            tags=["speech", "emotion", *LABELS, "wav2small"],
            configs=[{"config_name": "default", "data_files": "*.parquet"}],  # the JSON files beside them are no data
            source_datasets=[link.id for link in record.corpora if card_text.on_hub(link)] or None,
        ),
        "title": title,
        "id": id or shown(folder),
        "crop_seconds": f"{load(folder / ANNOTATIONS)['crop_seconds']:g}",
        "teachers": card_text.names(record.teachers) or "a teacher",
        "contents": grid(["source", "stretches", "recordings", "hours"], list(corpora(table))),
        "distribution": grid(["dimension", "mean", "deviation"], list(distribution(table))),
        "origin": card_text.origin(record),
        "licence": card_text.licence(record),
    }


def size(rows: int) -> str:
    """The Hub's name for a number of rows."""
    names = {1e3: "n<1K", 1e4: "1K<n<10K", 1e5: "10K<n<100K", 1e6: "100K<n<1M", 1e7: "1M<n<10M", 1e8: "10M<n<100M"}
    return next((name for end, name in names.items() if rows < end), "100M<n<1B")


def corpora(table: Table) -> list[list[str]]:
    """Rows, recordings and hours of each corpus."""
    frame = table.select(["source", "id", "duration"]).to_pandas()
    return [
        [f"`{shown(Path(source))}`", f"{len(own):,}", f"{own['id'].nunique():,}", f"{own['duration'].sum() / 3600:.2f}"]
        for source, own in frame.groupby("source")
    ]


def distribution(table: Table) -> list[list[str]]:
    """Mean and standard deviation of each dimension."""
    answers = table.select(list(LABELS)).to_pandas()
    return [[name, f"{answers[name].mean():.3f}", f"{answers[name].std(ddof=0):.3f}"] for name in LABELS]


def space(folder: Path, id: str | None) -> dict[str, Any]:
    """What the page of the Space says; `id` is of the model that it shows, by default the bundled one."""
    pinned = re.search(r"^gradio==([\d.]+)", requirements(folder), re.MULTILINE)
    return {
        "template": "space.md",
        "metadata": SpaceCardData(
            title="Wav2Small",
            emoji="🎙️",
            colorFrom="blue",
            colorTo="green",
            sdk="gradio",
            sdk_version=pinned[1] if pinned else None,
            app_file=APP,
            license="apache-2.0",
            short_description="How excited, in control and positive a voice sounds",
            models=[id] if id else None,
            tags=["speech", "emotion", *LABELS],
        ),
        "title": "Wav2Small",
        "model": f"[{id}](https://huggingface.co/{id})" if id else "the checkpoint in the package `wav2small`",
        "load": repr(id).replace("'", '"') if id else "",
    }


def requirements(folder: Path) -> str:
    """The requirements of the Space, if it has any."""
    path = folder / "requirements.txt"
    return path.read_text(encoding="utf-8") if path.is_file() else ""
