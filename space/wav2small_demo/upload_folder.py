"""The folder of uploads: a new one for each process, and nothing is left of it."""

import atexit
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "wav2small-demo-"


def make_upload_folder() -> str:
    """Make a folder for the uploads of this process, which is deleted at its end.

    What a killed process has left is deleted, too: each folder has a lock beside it, which ends with its process.
    """
    for file in Path(tempfile.gettempdir()).glob(f"{PREFIX}*.lock"):
        lock = FileLock(file)
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):  # in use, or of another user
            continue
        delete(file.with_suffix(""), lock)
    folder = tempfile.mkdtemp(prefix=PREFIX)
    lock = FileLock(f"{folder}.lock")
    lock.acquire()
    atexit.register(delete, Path(folder), lock)
    return folder


def delete(folder: Path, lock: FileLock) -> None:
    """Delete a folder whose lock is held, and the lock."""
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)
