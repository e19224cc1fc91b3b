"""The folder of a run that can be stopped and goes on: its settings stay what they were at the start."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from wav2small.atomic import whole_file
from wav2small.models.errors import Wav2SmallError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder of a run; the lock ends with the process, whatever ends it.

    Args:
        folder: of the run, which is made where it is missing.

    Raises:
        Wav2SmallError: if another process works in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise Wav2SmallError(f"{folder} is in use by another process: wait for its end, or stop it first") from None
    try:
        yield
    finally:
        lock.release()


def open_run(settings: Path, text: str, may_change: Collection[str] = ()) -> None:
    """Write the settings of a run into its folder, or make sure that they are those that are there.

    Args:
        settings: file in the folder of the run, which is made where it is missing.
        text: keys and values, as YAML or JSON.
        may_change: keys that may have another value when a run goes on.

    Raises:
        Wav2SmallError: if the run was started with other settings; the message names the first key that differs.
    """
    if settings.is_file():
        before, now = yaml.safe_load(settings.read_text(encoding="utf-8")), yaml.safe_load(text)
        for key in {**before, **now}:
            if before.get(key) != now.get(key) and key not in may_change:
                raise Wav2SmallError(
                    f"{settings.parent} was started with another {key}: use the same, or choose another folder"
                )
        if before == now:
            return
    settings.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(settings) as temporary:
        temporary.write_text(text, encoding="utf-8")
