"""A corpus as units that are read from their start: row groups of Parquet, tar files, clips of a folder, shards.

A unit belongs to one consumer at a time, which reads it once; so all consumers together fetch each byte about once,
however many they are.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import datasets
import pyarrow as pa
from fsspec.core import url_to_fs
from pyarrow import parquet

from wav2small.hub import hub_error
from wav2small.models.errors import Wav2SmallError

from ..recipe import Cache, Corpus
from .cache import cached
from .corpora import MisfitError, folder_rows, is_local, local_files, read_tar, undecoded, wanted
from .patience import AT_START, patiently

ROWS = 8  # that are read from a row group together
BUFFER = 1 << 20  # bytes of a row group that are fetched together
FOOTER = 4096  # bytes of the end of a file that are read first
GUESS = 1000.0  # rows of a tar file or a shard
THREADS = 16  # that read the footers of Parquet files
WHOLE_FILES = 512  # from so many files on, a file is a unit: their footers are not read before

Row = dict[str, Any]


class Unit(Protocol):
    """A part of a corpus that is read from its start."""

    @property
    def name(self) -> str:
        """Which part it is, the same in every run."""

    def rows(self) -> Iterator[Row]:
        """Read all its rows, in their order."""


@dataclass(frozen=True)
class Clip:
    """One clip of a folder."""

    name: str
    row: Row

    def rows(self) -> Iterator[Row]:
        """The one row."""
        yield self.row


@dataclass(frozen=True)
class RowGroup:
    """A row group of a Parquet file, or all of them; only the columns that a recipe uses are read.

    Attributes:
        file: path or address.
        number: of the row group; None for all.
        columns: to read; None for all.
        footer: of the file, where it was read before.
        cache: where the row group is kept.
    """

    file: str
    number: int | None
    columns: list[str] | None
    footer: parquet.FileMetaData | None
    cache: Cache | None = None

    @property
    def name(self) -> str:
        """File and number."""
        return f"{self.file}#{'all' if self.number is None else self.number}"

    def rows(self) -> Iterator[Row]:
        """Read it piece by piece: what is not read is not fetched."""
        batches = self._batches()
        if self.cache and "://" in self.file:
            batches = read_batches(cached(f"{self.name} {self.columns}", batches, self.cache))
        for batch in batches:
            yield from batch.to_pylist()

    def rows_told(self) -> int:
        """How many rows its footer says that it has."""
        assert self.footer is not None and self.number is not None
        return int(self.footer.row_group(self.number).num_rows)

    def bytes(self) -> int:
        """What is fetched of it: the columns that are read."""
        assert self.footer is not None and self.number is not None
        group = self.footer.row_group(self.number)
        parts = (group.column(i) for i in range(group.num_columns))
        read = (part for part in parts if self.columns is None or part.path_in_schema.split(".")[0] in self.columns)
        return sum(part.total_compressed_size for part in read)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        groups = None if self.number is None else [self.number]
        yield from read_batches(open_file(self.file), self.footer, groups, self.columns)


@dataclass(frozen=True)
class TarFile:
    """A WebDataset shard: the files of a clip have one name and follow one another; JSON gives columns."""

    file: str
    suffix: str

    @property
    def name(self) -> str:
        """The file."""
        return self.file

    def rows(self) -> Iterator[Row]:
        """Read it as a stream."""
        yield from read_tar(self.file, self.suffix)


@dataclass(frozen=True)
class Shard:
    """One of the shards into which `datasets` cuts a data set in any other format."""

    stream: datasets.IterableDataset
    number: int

    @property
    def name(self) -> str:
        """The number of the shard."""
        return str(self.number)

    def rows(self) -> Iterator[Row]:
        """Read it by `datasets`."""
        yield from self.stream.shard(self.stream.num_shards, self.number)


def read_footer(stream: Any) -> parquet.FileMetaData:
    """Read the footer of a Parquet file, and little else; pyarrow alone reads 64 kB of the end of each file."""
    size = stream.seek(0, 2)
    end = min(FOOTER, size)
    while True:
        stream.seek(size - end)
        tail = stream.read(end)
        needed = int.from_bytes(tail[-8:-4], "little") + 8
        if needed <= end or end == size:
            return parquet.read_metadata(pa.BufferReader(tail))
        end = min(needed, size)


def read_batches(
    stream: Any,
    footer: parquet.FileMetaData | None = None,
    groups: list[int] | None = None,
    columns: list[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Read row groups and columns of a Parquet file piece by piece, all by default, and close it."""
    with stream:
        file = parquet.ParquetFile(stream, metadata=footer, pre_buffer=False, buffer_size=BUFFER)
        yield from file.iter_batches(ROWS, row_groups=groups, columns=columns, use_threads=False)


def open_file(file: str) -> Any:
    """Open a local file, or an address without reading ahead."""
    if "://" not in file:
        return Path(file).open("rb")
    system, path = url_to_fs(file)
    return system.open(path, "rb", cache_type="none")


class Units:
    """The units of a corpus, and how their rows are read: with patience, and chosen by the `where` of the recipe.

    Args:
        corpus: of the recipe.
        cache: where Parquet files of the Hub are kept.

    Raises:
        Wav2SmallError: if it cannot be opened or has no rows.
        MisfitError: if it lacks a column of the recipe; the message lists those that it has.
    """

    def __init__(self, corpus: Corpus, cache: Cache | None = None):
        self.corpus, self.cache = corpus, cache
        self.columns: list[str] | None = None  # that it has, where that is known before a row is read
        self.all = self._cut()
        if not self.all:
            raise Wav2SmallError(f"{corpus.source} has no rows")

    def __len__(self) -> int:
        return len(self.all)

    @property
    def rows_each(self) -> float:
        """Rows of a unit, on average; a guess where only reading would tell."""
        footers = [unit.footer for unit in self.all if isinstance(unit, RowGroup) and unit.number is not None]
        if footers and None not in footers:
            return sum(unit.rows_told() for unit in self.all if isinstance(unit, RowGroup)) / len(self.all)
        return 1.0 if isinstance(self.all[0], Clip) else GUESS

    def parts(self, rows: int) -> Iterator[range]:
        """Cut the units into runs of about so many rows, of one unit at least."""
        step = max(1, int(rows / self.rows_each))
        for first in range(0, len(self), step):
            yield range(first, min(first + step, len(self)))

    def rows(self, number: int) -> Iterator[Row]:
        """Rows of one unit, of those that the recipe asks for; a break of the connection is waited for."""
        unit, read = self.all[number], 0
        stream = unit.rows()

        def again() -> None:
            nonlocal stream
            stream = islice(unit.rows(), read, None)

        while True:
            try:
                row = patiently(lambda: next(stream), self.corpus.source, again)
            except StopIteration:
                return
            except (Wav2SmallError, KeyboardInterrupt):
                raise
            except Exception as error:  # of the libraries beneath
                if is_local(self.corpus):
                    raise Wav2SmallError(f"{unit.name} cannot be read ({error})") from None
                raise hub_error(self.corpus.source, error, "streamed") from None
            read += 1
            if wanted(row, self.corpus):
                yield row

    def _cut(self) -> list[Unit]:
        corpus, source = self.corpus, self.corpus.source
        if Path(source).is_dir():
            return [Clip(row["id"], row) for row in folder_rows(Path(source), corpus)]
        if source.endswith(".parquet"):
            return self._row_groups(local_files(source))
        if source.endswith(".tar"):
            return [TarFile(file, corpus.audio) for file in local_files(source)]
        builder = self._builder
        files = (builder.config.data_files or {}).get(corpus.split)
        kind = type(builder).__module__.rpartition(".")[2]
        if files and kind == "parquet":
            return self._row_groups([str(file) for file in files])
        if files and kind == "webdataset":
            return [TarFile(str(file), corpus.audio) for file in files]
        try:
            stream = undecoded(builder.as_streaming_dataset(corpus.split), corpus)
        except Exception as error:  # the libraries beneath raise dozens of kinds
            raise hub_error(source, error, "streamed") from None
        return [Shard(stream, i) for i in range(stream.num_shards)]

    @cached_property
    def _builder(self) -> datasets.DatasetBuilder:
        corpus = self.corpus
        try:
            return patiently(
                lambda: datasets.load_dataset_builder(corpus.source, corpus.config, revision=corpus.revision),
                corpus.source,
                minutes=AT_START,
            )
        except Exception as error:  # as above
            raise hub_error(corpus.source, error, "streamed") from None

    def _row_groups(self, files: list[str]) -> list[Unit]:
        first = self._footer(files[0])
        columns = self._columns(first.schema.to_arrow_schema())
        if len(files) >= WHOLE_FILES:
            return [RowGroup(file, None, columns, None, self.cache) for file in files]
        with ThreadPoolExecutor(THREADS) as pool:
            footers = [first, *pool.map(self._footer, files[1:])]
        return [
            RowGroup(file, i, columns, footer, self.cache)
            for file, footer in zip(files, footers, strict=True)
            for i in range(footer.num_row_groups)
        ]

    def _footer(self, file: str) -> parquet.FileMetaData:
        def read() -> parquet.FileMetaData:
            with open_file(file) as stream:
                return read_footer(stream)

        try:
            return patiently(read, self.corpus.source)
        except (OSError, pa.ArrowInvalid) as error:
            raise Wav2SmallError(f"{file} is not a Parquet file that can be read ({error})") from None

    def _columns(self, schema: pa.Schema) -> list[str]:
        """The columns that a recipe uses; `id`, `source` and `speech` where they are there."""
        corpus, self.columns = self.corpus, sorted(schema.names)
        labels = [corpus.labels] if isinstance(corpus.labels, str) else corpus.labels or ()
        needed = [corpus.audio, *filter(None, (corpus.id, corpus.agreement)), *labels, *corpus.where]
        for column in needed:
            if column not in schema.names:
                named = ", ".join(sorted(schema.names))
                raise MisfitError(f"{corpus.source} has no column {column!r}; it has {named}")
        return list(dict.fromkeys([*needed, *(name for name in ("id", "speech") if name in schema.names)]))
