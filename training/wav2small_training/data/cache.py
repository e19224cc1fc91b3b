"""Row groups that were fetched once, on the disk of this machine, up to a size."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from pyarrow import parquet

from wav2small.atomic import whole_file

from ..recipe import Cache

GIGABYTE = 10**9


def cached(name: str, batches: Iterator[Any], cache: Cache) -> BinaryIO:
    """Write what is fetched to a file of the cache, or find it there; what was not read for longest makes room.

    Args:
        name: of what is fetched.
        batches: record batches; read only where the file is missing.
        cache: folder and size.

    Returns:
        A Parquet file, open: a process that makes room meanwhile does not take it away.
    """
    file = Path(cache.folder) / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.parquet"
    with suppress(FileNotFoundError):
        stream = file.open("rb")
        with suppress(FileNotFoundError):
            os.utime(file)
        return stream
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as temporary:
        first = next(batches)
        with parquet.ParquetWriter(temporary, first.schema, compression="none") as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)
    stream = file.open("rb")
    make_room(cache, file)
    return stream


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
