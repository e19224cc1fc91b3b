"""The card of a folder of teacher labels, which `wav2small annotate` wrote."""

import re
from pathlib import Path
from typing import Any

import pyarrow.dataset
from huggingface_hub import DatasetCardData
from pyarrow import Table

from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance import provenance

from ..tables import grid
from . import card_text
from .card_results import public_path, read_json

ANNOTATIONS = "annotations.json"  # annotate writes it last


def facts(folder: Path, id: str | None) -> dict[str, Any]:
    """What the template of the card needs: rows, recordings and hours by corpus, mean and deviation of the labels.

    Args:
        folder: of teacher labels.
        id: of the data set on the Hub.

    Raises:
        Wav2SmallError: if the folder holds no complete teacher labels.
    """
    if not (folder / ANNOTATIONS).is_file():
        raise Wav2SmallError(
            f"{folder} is neither a checkpoint (config.json) nor a folder of complete teacher labels ({ANNOTATIONS})"
        )
    record = provenance.read_provenance(folder)
    table = pyarrow.dataset.dataset(sorted(map(str, folder.glob("*.parquet"))), format="parquet").to_table()
    fields: dict[str, Any] = {**card_text.hub_licence(record.licence)}
    title = f"Teacher labels of {card_text.names(record.teachers) or 'a teacher'}"
    return {
        "template": "dataset.md",
        "metadata": DatasetCardData(
            **fields,
            pretty_name=re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title),
            task_categories=["audio-classification"],
            size_categories=size_category(table.num_rows),
            tags=["speech", "emotion", *LABELS, "wav2small"],
            configs=[{"config_name": "default", "data_files": "*.parquet"}],  # the JSON files beside them are not data
            source_datasets=[link.id for link in record.corpora if card_text.on_hub(link)] or None,
        ),
        "title": title,
        "id": id or public_path(folder),
        "crop_seconds": f"{read_json(folder / ANNOTATIONS)['crop_seconds']:g}",
        "teachers": card_text.names(record.teachers) or "a teacher",
        "contents": grid(["source", "segments", "recordings", "hours"], corpus_rows(table)),
        "distribution": grid(["dimension", "mean", "deviation"], distribution_rows(table)),
        "origin": card_text.origin(record),
        "licence": card_text.licence(record),
    }


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows."""
    names = {1e3: "n<1K", 1e4: "1K<n<10K", 1e5: "10K<n<100K", 1e6: "100K<n<1M", 1e7: "1M<n<10M", 1e8: "10M<n<100M"}
    return next((name for end, name in names.items() if rows < end), "100M<n<1B")


def corpus_rows(table: Table) -> list[list[str]]:
    """Rows, recordings and hours of each corpus."""
    frame = table.select(["source", "id", "duration"]).to_pandas()
    return [
        [
            f"`{public_path(Path(source))}`",
            f"{len(own):,}",
            f"{own['id'].nunique():,}",
            f"{own['duration'].sum() / 3600:.2f}",
        ]
        for source, own in frame.groupby("source")
    ]


def distribution_rows(table: Table) -> list[list[str]]:
    """Mean and standard deviation of each dimension."""
    labels = table.select(list(LABELS)).to_pandas()
    return [[name, f"{labels[name].mean():.3f}", f"{labels[name].std(ddof=0):.3f}"] for name in LABELS]
