"""Work that any number of processes and machines share through a folder: each takes a unit that nobody works on.

A unit is claimed by a file in the folder, and done when its shard is there. A process that is killed leaves a claim
that ends after some minutes, or at once on its own machine; another process takes the unit then. Nobody waits for
anybody: processes may come, go and be of any number.
"""

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from pyarrow import parquet

from wav2small.atomic import whole_file
from wav2small.models.errors import Wav2SmallError

from ..data.batches import errors_of_workers

CLAIMS = ".claims"
EXPIRY = 600.0  # s after which a claim that nobody renewed ends
PAUSE = 2.0  # s, where others work on all that is left
SEEN = 30.0  # s after which a file of another machine must be visible

Produce = Callable[[int], Iterator[Any]]


class Claims:
    """Who works on which unit, as files in a folder.

    Args:
        out: the folder of the shards.
    """

    def __init__(self, out: Path):
        self.folder = out / CLAIMS
        self.own = f"{socket.gethostname()} {os.getpid()}"

    def take(self, name: str) -> bool:
        """Claim a unit; False if another process has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / name
        if self.ended(file):
            file.unlink(missing_ok=True)
        try:
            with file.open("x") as stream:
                stream.write(self.own)
        except FileExistsError:
            return False
        return True

    def ended(self, file: Path) -> bool:
        """Whether the process of a claim is gone, as far as one can tell."""
        try:
            owner, age = file.read_text(), time.time() - file.stat().st_mtime
        except FileNotFoundError:
            return False
        host, _, process = owner.partition(" ")
        if host == socket.gethostname() and process.isdigit() and not alive(int(process)):
            return True
        return age > EXPIRY

    def renew(self, name: str) -> None:
        """Say that a unit is still worked on."""
        (self.folder / name).touch()

    def release(self, name: str) -> None:
        """End a claim."""
        (self.folder / name).unlink(missing_ok=True)


def alive(process: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Claimed(torch.utils.data.IterableDataset[tuple[int, Any]]):
    """Pieces of the units that this process, or one of its workers, could claim; None after the last piece of each."""

    def __init__(self, names: Sequence[str], out: Path, produce: Produce, done: Callable[[int], bool]):
        self.names, self.out, self.produce, self.done = names, out, produce, done

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        claims = Claims(self.out)
        for i, name in enumerate(self.names):
            if self.done(i) or not claims.take(name):
                continue
            if self.done(i):  # by the one whose claim has just ended
                claims.release(name)
                continue
            for piece in self.produce(i):
                yield i, piece
            yield i, None


def share_work(
    names: Sequence[str],
    out: Path,
    produce: Produce,
    label: Callable[[int, Any], list[dict[str, Any]]],
    schema: pa.Schema,
    workers: int,
    done: Callable[[int], bool] | None = None,
    told: Callable[[int, int], None] = lambda unit, rows: None,
) -> None:
    """Do all units that nobody else does, and return when all are done.

    Args:
        names: of the shard of each unit.
        out: folder of the shards.
        produce: reads a unit piece by piece, in a worker process.
        label: makes the rows of a piece, in this process, which has the teacher.
        schema: of the shards.
        workers: processes that produce; 0 for none.
        done: whether a unit needs no work; default: its shard is there. It is pickled for workers, as `produce` is.
        told: called with each unit and the rows of each of its pieces.

    Raises:
        Wav2SmallError: what reading or labelling raises.
    """
    done = done or partial(is_there, names, out)
    claims = Claims(out)
    while not all(map(done, range(len(names)))):
        loader = torch.utils.data.DataLoader(
            Claimed(names, out, produce, done), batch_size=None, num_workers=workers, collate_fn=as_it_is
        )
        stream, rows = iter(loader), dict[int, list[dict[str, Any]]]()
        busy = False
        while True:
            with errors_of_workers():
                item = next(stream, None)
            if item is None:
                break
            busy = True
            unit, piece = item
            claims.renew(names[unit])
            if piece is not None:
                found = label(unit, piece)
                rows.setdefault(unit, []).extend(found)
                told(unit, len(found))
                continue
            with whole_file(out / names[unit]) as temporary:
                parquet.write_table(pa.Table.from_pylist(rows.pop(unit, []), schema=schema), temporary)
            claims.release(names[unit])
        if not busy:
            time.sleep(PAUSE)


def is_there(names: Sequence[str], out: Path, unit: int) -> bool:
    """Whether the shard of a unit is there."""
    return (out / names[unit]).is_file()


def as_it_is(piece: Any) -> Any:
    """A piece; by default a loader makes tensors of its arrays."""
    return piece


def check_shared(out: Path, accelerator: Accelerator) -> None:
    """Make sure that all processes of a launch see the same folder.

    Raises:
        Wav2SmallError: if they do not.
    """
    if accelerator.num_processes == 1:
        return
    token = [uuid.uuid4().hex]
    broadcast_object_list(token)
    file = out / f".{token[0]}"
    if accelerator.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
        file.touch()
    accelerator.wait_for_everyone()
    end = time.monotonic() + SEEN
    while not (seen := file.is_file()) and time.monotonic() < end:
        time.sleep(0.2)
    everywhere = accelerator.gather(torch.tensor([seen], device=accelerator.device)).all().item()
    if accelerator.is_main_process:
        file.unlink()
    if not everywhere:
        raise not_shared(out)


def not_shared(folder: Path) -> Wav2SmallError:
    """The error of a folder that some machines do not see."""
    return Wav2SmallError(f"{folder} is not the same folder on all machines: put it on a disk that they share")
