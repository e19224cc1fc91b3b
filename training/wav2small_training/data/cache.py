"""Row groups that were fetched once, on the disk of this machine, up to a size."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyarrow import parquet

from wav2small.atomic import whole_file

from ..recipe import Cache

GIGABYTE = 10**9


def cached(name: str, batches: Iterator[Any], cache: Cache) -> Path:
    """Write what is fetched to a file of the cache, or find it there; what was not read for longest makes room.

    Args:
        name: of what is fetched.
        batches: record batches; read only where the file is missing.
        cache: folder and size.

    Returns:
        A Parquet file.
    """
    file = Path(cache.folder) / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.parquet"
    if file.is_file():
        os.utime(file)
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as temporary:
        first = next(batches)
        with parquet.ParquetWriter(temporary, first.schema, compression="none") as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)
    make_room(cache, file)
    return file


def make_room(cache: Cache, kept: Path) -> None:
    """Remove the files that were read longest ago, until the cache has its size; other processes may do so too."""
    files = {}
    for file in Path(cache.folder).glob("*.parquet"):
        try:
            files[file] = file.stat()
        except FileNotFoundError:
            continue
    total = sum(stat.st_size for stat in files.values())
    for file in sorted(files, key=lambda each: files[each].st_mtime_ns):
        if total <= cache.gigabytes * GIGABYTE:
            return
        if file != kept:
            file.unlink(missing_ok=True)
            total -= files[file].st_size
