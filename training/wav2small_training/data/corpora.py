"""Audio from anywhere, streamed: Hub data sets, folders, Parquet and WebDataset shards -> rows of undecoded clips."""

import csv
import json
import math
import tarfile
from collections.abc import Iterable, Iterator
from glob import glob
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from fsspec.core import url_to_fs
from pyarrow import parquet

from wav2small.hub import hub_error
from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.audio import audio_files, read_audio
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import PROVENANCE_FILE

from ..recipe import Corpus
from .norms import emotion_norm, shrink_to_middle

SHARDS = 64  # of a local folder, so that processes and workers can share it
UNSCALED = (-0.5, 1.5)  # labels without a scale: predictions of teachers leave 0..1 a little


class MisfitError(Wav2SmallError):
    """The settings do not fit the data: it ends the work, where a clip that cannot be read is skipped."""


def open_rows(corpus: Corpus) -> datasets.IterableDataset:
    """Open a corpus as rows: `id` (str), `audio` ({"path", "bytes"}, not decoded) and its other columns.

    Raises:
        Wav2SmallError: if it cannot be opened, or lacks a column; the message names both.
    """
    source = corpus.source
    if Path(source).is_dir():
        listed = folder_rows(Path(source), corpus)
        return datasets.Dataset.from_list(listed).to_iterable_dataset(num_shards=min(SHARDS, len(listed)))
    if source.endswith(".parquet"):
        rows = undecoded(
            datasets.load_dataset("parquet", data_files=local_files(source), split="train", streaming=True), corpus
        )
    elif source.endswith(".tar"):
        rows = datasets.IterableDataset.from_generator(
            _webdataset, gen_kwargs={"tars": local_files(source), "suffix": corpus.audio}
        )
    else:
        rows = _hub(corpus)
    return rows.filter(lambda row: wanted(row, corpus)) if corpus.where else rows


def distinct(corpora: Iterable[Corpus]) -> list[Corpus]:
    """Each corpus once: without those that differ from an earlier one in their weight alone."""
    found: dict[str, Corpus] = {}
    for corpus in corpora:
        found.setdefault(corpus.model_dump_json(exclude={"weight"}), corpus)
    return list(found.values())


def is_local(corpus: Corpus) -> bool:
    """Tell a folder and shards from a data set on the Hub."""
    return Path(corpus.source).is_dir() or corpus.source.endswith((".parquet", ".tar"))


def clip_count(corpus: Corpus) -> int | None:
    """Count the clips of a corpus where that costs nothing: a folder, Parquet files, a split that the Hub describes."""
    if Path(corpus.source).is_dir():
        return len(folder_rows(Path(corpus.source), corpus))
    if corpus.where or corpus.source.endswith(".tar"):
        return None
    if corpus.source.endswith(".parquet"):
        return sum(int(parquet.read_metadata(file).num_rows) for file in local_files(corpus.source))
    splits = open_rows(corpus).info.splits
    return int(splits[corpus.split].num_examples) if splits and corpus.split in splits else None


def row_id(row: dict[str, Any], corpus: Corpus) -> str:
    """Name one clip within its corpus: the column of the recipe, or the path of its audio."""
    if corpus.id:
        return str(cell(row, corpus.id, corpus.source))
    name = row.get("id") or _audio(row, corpus).get("path")
    if not name:
        raise MisfitError(f"{corpus.source}: its clips have no path: name the column that identifies them (id: …)")
    return str(name)


def label(row: dict[str, Any], corpus: Corpus) -> np.ndarray:
    """Read the target that a clip has in its corpus: (3,) arousal, dominance, valence, about 0..1.

    Raises:
        MisfitError: for a column that is not there, or a rating outside of the scale.
        Wav2SmallError: for a word without a norm, or a value that is not a number.
    """
    if corpus.word or isinstance(corpus.labels, str):
        word = corpus.word or str(cell(row, str(corpus.labels), corpus.source))
        try:
            target = emotion_norm(word)
        except KeyError:
            raise Wav2SmallError(f"{corpus.source}: there is no norm for the word {word!r}") from None
    else:
        columns = corpus.labels or ()
        target = np.array([_rating(row, column, corpus) for column in columns], np.float32)
    if corpus.agreement:
        share = _number(row, corpus.agreement, corpus.source)
        target = shrink_to_middle(target, share)
    return target


def _rating(row: dict[str, Any], column: str, corpus: Corpus) -> float:
    """One rating, brought from its scale to 0..1."""
    rating = _number(row, column, corpus.source)
    low, high = corpus.scale or UNSCALED
    if not low <= rating <= high and (corpus.scale or not is_rendering(corpus.source)):
        told = f"its scale is {low:g} to {high:g}" if corpus.scale else "without a scale labels are about 0 to 1"
        raise MisfitError(
            f"{corpus.source}: {rating:g} in its column {column!r}, and {told}: name the lowest and the highest "
            "rating in the recipe, such as scale: [1, 7]"
        )
    return (rating - low) / (high - low) if corpus.scale else rating


def is_rendering(source: str) -> bool:
    """Tell shards of `wav2small mix`, whose labels are a teacher's predictions, by the provenance beside them."""
    return source.endswith(".parquet") and (Path(source).parent / PROVENANCE_FILE).is_file()


def _number(row: dict[str, Any], column: str, source: str) -> float:
    value = cell(row, column, source)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise Wav2SmallError(f"{source}: {value!r} in its column {column!r} is not a number")
    return number


def waveform(row: dict[str, Any], corpus: Corpus) -> np.ndarray:
    """Decode one clip to (samples,) float32 at 16 kHz."""
    audio = _audio(row, corpus)
    return read_audio(audio["bytes"] if audio.get("bytes") else audio["path"], SAMPLING_RATE)


def _audio(row: dict[str, Any], corpus: Corpus) -> dict[str, Any]:
    audio = cell(row, corpus.audio, corpus.source)
    if not isinstance(audio, dict):
        raise MisfitError(f"{corpus.source}: its column {corpus.audio!r} holds no audio")
    return audio


def cell(row: dict[str, Any], column: str, source: str) -> Any:
    """Value of a column; raises MisfitError, which lists the columns, where there is none."""
    if column not in row:
        raise MisfitError(f"{source} has no column {column!r}; it has {', '.join(sorted(row))}")
    return row[column]


def wanted(row: dict[str, Any], corpus: Corpus) -> bool:
    """Whether a row has the values that the recipe asks for."""
    return all(
        str(cell(row, column, corpus.source)) in ([value] if isinstance(value, str) else value)
        for column, value in corpus.where.items()
    )


def local_files(pattern: str) -> list[str]:
    """The files of a pattern, in order; an address is taken as it is."""
    files = sorted(glob(pattern)) if "://" not in pattern else [pattern]
    if not files:
        raise Wav2SmallError(f"{pattern}: no such files")
    return files


def folder_rows(folder: Path, corpus: Corpus) -> list[dict[str, Any]]:
    """Rows of a folder with a metadata.csv (`file_name` and other columns), or of audio files alone."""
    table = folder / "metadata.csv"
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
        if not rows or "file_name" not in rows[0]:
            raise Wav2SmallError(f"{table} has no rows with a column file_name")
    else:
        try:
            paths = audio_files(folder)
        except Wav2SmallError:
            raise Wav2SmallError(f"{folder} holds neither a metadata.csv nor audio files") from None
        rows = [{"file_name": str(path.relative_to(folder))} for path in paths]
    rows = [row for row in rows if wanted(row, corpus)]
    if not rows:
        raise Wav2SmallError(f"{folder} has no clips where {corpus.where}")
    for row in rows:
        row["id"] = row["file_name"]
        row[corpus.audio] = {"path": str(folder / row["file_name"]), "bytes": None}
    return rows


def _webdataset(tars: list[str], suffix: str) -> Iterator[dict[str, Any]]:
    """Rows of WebDataset shards. The loader of `datasets` needs torchcodec to hand over undecoded audio."""
    for tar in tars:
        yield from read_tar(tar, suffix)


def read_tar(tar: str, suffix: str) -> Iterator[dict[str, Any]]:
    """Rows of one WebDataset shard, read as a stream: files of one name are a clip, and JSON gives its columns."""
    system, path = url_to_fs(tar)
    with (
        system.open(path, "rb", **({"block_size": 0} if "://" in tar else {})) as stream,
        tarfile.open(fileobj=stream, mode="r|*") as archive,
    ):
        files = ((*member.name.partition(".")[::2], archive.extractfile(member)) for member in archive)
        for key, parts in groupby(files, key=itemgetter(0)):  # the files of a clip follow one another
            row: dict[str, Any] = {"id": key}
            for _, extension, content in parts:
                if extension == "json" and content is not None:
                    row.update(json.load(content))
                elif extension == suffix and content is not None:
                    row[suffix] = {"path": f"{key}.{suffix}", "bytes": content.read()}
            if suffix in row:
                yield row


def _hub(corpus: Corpus) -> datasets.IterableDataset:
    try:
        rows = datasets.load_dataset(
            corpus.source, corpus.config, split=corpus.split, revision=corpus.revision, streaming=True
        )
    except Exception as error:  # the libraries beneath raise dozens of kinds
        raise hub_error(corpus.source, error, "streamed") from None
    return undecoded(rows, corpus)


def undecoded(rows: datasets.IterableDataset, corpus: Corpus) -> datasets.IterableDataset:
    """Have the audio of a corpus handed over as its bytes."""
    if rows.features and isinstance(rows.features.get(corpus.audio), datasets.Audio):
        return rows.cast_column(corpus.audio, datasets.Audio(decode=False))
    return rows
