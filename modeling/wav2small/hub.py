"""Checkpoints on the Hub -> folders on disk, or one sentence that says why not."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import gaierror

from .models.errors import Wav2SmallError


def resolve_checkpoint(source: str | Path, files: list[str], revision: str | None = None) -> Path:
    """Find a checkpoint: a folder as it is, an id on the Hub as its download.

    Args:
        source: a folder, or an id on the Hub ("org/name").
        files: names or patterns ("onnx/*") of the files that are wanted; those that the Hub does not have are missing
            in the folder.
        revision: branch, tag or commit on the Hub.

    Returns:
        A folder. That of a download is named after its commit.

    Raises:
        Wav2SmallError: if there is no such folder and no such model, it may not be read, or the Hub cannot be reached
            and the model is not in the cache.
    """
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    fetch = partial(snapshot_download, str(source), revision=revision, allow_patterns=files)
    try:
        return Path(fetch())
    except Exception as error:  # the HTTP clients beneath the two lines of huggingface_hub have no base class in common
        if _unreachable(error) and re.fullmatch("[0-9a-f]{40}", revision or ""):
            # huggingface_hub looks into the cache by itself, but its line 1.x not for a commit
            with suppress(Exception):
                return Path(fetch(local_files_only=True))
        raise hub_error(str(source), error) from None


def commit_of(folder: Path) -> str | None:
    """The commit of a folder that [`resolve_checkpoint`] gave; `None` if it did not come from the Hub."""
    return folder.name if folder.parent.name == "snapshots" else None


def hub_error(source: str, error: BaseException, what: str = "loaded") -> Wav2SmallError:
    """Say in one sentence why something cannot be had from the Hub, and the mend.

    Args:
        source: id of the model or data set.
        error: of huggingface_hub, or of a library above it; what caused it is looked through as well.
        what: cannot be done with it.
    """
    return Wav2SmallError(f"{source} is no folder here and cannot be {what} from the Hub: {_reason(error)}")


def _reason(error: BaseException) -> str:
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    chain = list(error_chain(error))

    def is_a(*kinds: type) -> bool:
        return any(isinstance(each, kinds) for each in chain)

    status = _status(error)
    if is_a(HFValidationError):
        return "an id is written org/name"
    if is_a(GatedRepoError):
        return "it is gated: ask for access on its page, then log in with `hf auth login`"
    if is_a(RevisionNotFoundError):
        return "it has no such revision"
    if is_a(RepositoryNotFoundError):
        if status == 404:
            return "there is none of that name: check it"
        return "there is none of that name, or it is private: check the name, or log in with `hf auth login`"
    if status in (401, 403):
        return "your token does not give access to it: log in with `hf auth login`"
    if status:
        return f"the Hub answers with status {status}: try again later"
    if _unreachable(error):
        return "the Hub cannot be reached, and it is not in the cache: check the network and the name"
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _status(error: BaseException) -> int | None:
    """With which HTTP status the Hub refused, if it answered at all."""
    answers = (getattr(getattr(each, "response", None), "status_code", None) for each in error_chain(error))
    return next((answer for answer in answers if answer), None)


def _unreachable(error: BaseException) -> bool:
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    kinds = (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError, TimeoutError, gaierror)
    return not _status(error) and any(isinstance(each, kinds) for each in error_chain(error))


def error_chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what caused it, and so on down to the first."""
    while error:
        yield error
        error = error.__cause__ or error.__context__
