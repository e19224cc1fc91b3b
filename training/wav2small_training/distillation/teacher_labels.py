"""Teacher labels that `annotate` wrote, looked up clip by clip."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet

from wav2small.atomic import whole_file
from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallError

from ..data.corpora import is_local
from ..recipe import Corpus
from ..teachers import member_sources

FINISHED = "annotations.json"  # written last
KEY = ("source", "config", "split", "commit", "id")  # of a clip


class TeacherLabels:
    """Teacher labels of annotated clips; they are read from disk, so memory does not grow with the corpus.

    Args:
        folder: of the shards. An index is made there at first use.

    Raises:
        Wav2SmallError: if the folder holds no finished teacher labels.
    """

    def __init__(self, folder: Path):
        if not (folder / FINISHED).is_file():
            raise Wav2SmallError(f"{folder} holds no finished teacher labels: run wav2small annotate")
        self.index = folder / "teacher_labels.sqlite"
        if not self.index.exists():
            self._build(sorted(folder.glob("*.parquet")))
        self._connection: sqlite3.Connection | None = None

    def _build(self, shards: list[Path]) -> None:
        refuse_duplicates(shards)
        columns = [*KEY, "start", *LABELS]
        with whole_file(self.index) as temporary:
            connection = sqlite3.connect(temporary)
            connection.execute(f"CREATE TABLE labels ({', '.join(f'[{name}]' for name in columns)})")
            for shard in shards:
                rows = parquet.read_table(shard, columns=columns).to_pylist()
                connection.executemany(
                    f"INSERT INTO labels VALUES ({','.join('?' * len(columns))})", [tuple(row.values()) for row in rows]
                )
            connection.execute(f"CREATE INDEX clip ON labels ({', '.join(f'[{name}]' for name in KEY)})")
            connection.commit()
            connection.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_connection": None}  # a connection stays in its process

    def __call__(self, corpus: Corpus, name: str) -> list[tuple[float, np.ndarray]]:
        """Windows of one clip: (start in s, (3,) label), in order of time; empty if it was not annotated."""
        if self._connection is None:
            self._connection = sqlite3.connect(f"file:{self.index}?mode=ro", uri=True)
        key = {**key_of(corpus), "id": name}
        same = " AND ".join(f"[{column}] IS ?" for column in KEY)
        query = f"SELECT start, {', '.join(LABELS)} FROM labels WHERE {same} ORDER BY start"
        rows = self._connection.execute(query, [key[column] for column in KEY]).fetchall()
        return [(row[0], np.array(row[1:], np.float32)) for row in rows]


def key_of(corpus: Corpus) -> dict[str, str | None]:
    """What tells the clips of a corpus from those of others; a split and a commit are of data sets on the Hub."""
    on_hub = not is_local(corpus)
    return {
        "source": corpus.source,
        "config": corpus.config,
        "split": corpus.split if on_hub else None,
        "commit": corpus.revision if on_hub else None,
    }


def refuse_duplicates(shards: list[Path]) -> None:
    """Make sure that no window of a clip is there twice.

    Raises:
        Wav2SmallError: it names the clip.
    """
    seen: set[tuple[str, ...]] = set()
    for shard in shards:
        if missing := set(KEY) - set(parquet.read_schema(shard).names):
            raise Wav2SmallError(
                f"{shard} lacks the column {missing.pop()}: it is of an earlier version; annotate again"
            )
        for row in parquet.read_table(shard, columns=[*KEY, "start"]).to_pylist():
            key = tuple(map(str, row.values()))
            if key in seen:
                raise Wav2SmallError(
                    f"{row['source']} has several clips {row['id']!r}: name a column that tells them apart (id: …)"
                )
            seen.add(key)


def teachers_of(folder: Path) -> list[str]:
    """The models that annotated clips, as the recipe of the annotation named them."""
    return member_sources(json.loads((folder / FINISHED).read_text(encoding="utf-8"))["teacher"])
