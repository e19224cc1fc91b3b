"""Files and folders that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .models.errors import Wav2SmallError


def check_place(path: Path) -> None:
    """Make sure that a file can be written, before the work that fills it.

    Raises:
        Wav2SmallError: if the folder does not exist or cannot be written to.
    """
    if not path.parent.is_dir():
        raise Wav2SmallError(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK) or path.is_dir():
        raise Wav2SmallError(f"{path} cannot be written: choose another path")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; the file written there is renamed to `path` at the end, unless an error occurs.

    Raises:
        Wav2SmallError: as [`check_place`].
    """
    check_place(path)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        temporary.replace(path)


def replace_folder(new: Path, folder: Path) -> None:
    """Replace `folder` by the folder `new`; if the process is killed meanwhile, the old one is kept as `NAME.old`."""
    old = folder.with_name(f"{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it is renamed to `path` at the end, unless an error occurs.

    Raises:
        Wav2SmallError: if `path` exists and is not an empty folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise Wav2SmallError(f"{path} exists already: choose another folder or remove it first")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary.chmod(0o755)
    try:
        yield temporary
        if path.exists():
            path.rmdir()
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
