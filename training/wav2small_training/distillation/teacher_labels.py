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

FINISHED = "annotations.json"  # written last


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
        with whole_file(self.index) as temporary:
            connection = sqlite3.connect(temporary)
            connection.execute("CREATE TABLE labels (source, id, start, arousal, dominance, valence)")
            for shard in shards:
                rows = parquet.read_table(shard, columns=["source", "id", "start", *LABELS]).to_pylist()
                connection.executemany("INSERT INTO labels VALUES (?,?,?,?,?,?)", [tuple(row.values()) for row in rows])
            connection.execute("CREATE INDEX clip ON labels (source, id)")
            connection.commit()
            connection.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_connection": None}  # a connection stays in its process

    def __call__(self, source: str, name: str) -> list[tuple[float, np.ndarray]]:
        """Windows of one clip: (start in s, (3,) label), in order of time; empty if it was not annotated."""
        if self._connection is None:
            self._connection = sqlite3.connect(f"file:{self.index}?mode=ro", uri=True)
        query = (
            "SELECT DISTINCT start, arousal, dominance, valence FROM labels WHERE source = ? AND id = ? ORDER BY start"
        )
        rows = self._connection.execute(query, (source, name)).fetchall()
        return [(row[0], np.array(row[1:], np.float32)) for row in rows]


def teachers_of(folder: Path) -> list[str]:
    """The models that annotated clips, as the recipe of the annotation named them."""
    named = json.loads((folder / FINISHED).read_text(encoding="utf-8"))["teacher"]
    return [named] if isinstance(named, str) else list(named)
