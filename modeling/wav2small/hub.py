"""Checkpoints on the Hub -> folders on disk; a failure -> one sentence that says why and what to do."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import gaierror

from .bundled import bundled_checkpoints
from .models.errors import Wav2SmallError


def resolve_checkpoint(source: str | Path, files: list[str], revision: str | None = None) -> Path:
    """Find the folder of a checkpoint: a local one, one in this package by its name, or a download from the Hub.

    Args:
        source: a folder, the name of a checkpoint in this package, or an id on the Hub ("org/name", or
            "org/name@revision").
        files: names or patterns ("onnx/*") of the files to download; the folder lacks those that the Hub does not have.
        revision: branch, tag or commit on the Hub.

    Returns:
        The folder. After a download it is named by its commit.

    Raises:
        Wav2SmallError: if `source` is none of these, the model does not exist or may not be read, or the Hub cannot be
            reached and the model is not in the cache.
    """
    if Path(source).is_dir():
        return Path(source)
    bundled = bundled_checkpoints()
    if str(source) in bundled:
        return bundled[str(source)]
    if not re.fullmatch(r"\w[\w.-]*/[\w.-]+(@[\w./-]+)?", str(source)):
        raise Wav2SmallError(
            f"{source} is neither a folder nor an id on the Hub such as org/name, nor the name of a bundled checkpoint "
            f"({', '.join(bundled)})"
        )
    from huggingface_hub import snapshot_download

    name, _, pinned = str(source).partition("@")
    revision = revision or pinned or None
    fetch = partial(snapshot_download, name, revision=revision, allow_patterns=files)
    try:
        return Path(fetch())
    except Exception as error:  # the HTTP clients of the two lines of huggingface_hub share no base class
        if _unreachable(error) and re.fullmatch("[0-9a-f]{40}", revision or ""):
            # offline, huggingface_hub looks into its cache by itself, but its line 1.x not when a commit is named
            with suppress(Exception):
                return Path(fetch(local_files_only=True))
        raise hub_error(str(source), error) from None


def commit_of(folder: Path) -> str | None:
    """The commit of a folder that [`resolve_checkpoint`] downloaded; `None` if it did not come from the Hub."""
    return folder.name if folder.parent.name == "snapshots" else None


def hub_error(source: str, error: BaseException, what: str = "loaded") -> Wav2SmallError:
    """Turn an error of the Hub into one sentence that gives the reason and the remedy.

    Args:
        source: id of the model or data set.
        error: of huggingface_hub, or of a library that uses it; its causes are examined as well.
        what: completes "cannot be … from the Hub".
    """
    return Wav2SmallError(f"{source} is not a folder here and cannot be {what} from the Hub: {_reason(error)}")


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
            return "there is nothing of that name: check it"
        return "there is nothing of that name, or it is private: check the name, or log in with `hf auth login`"
    if status in (401, 403):
        return "your token does not give access to it: log in with `hf auth login`"
    if status:
        return f"the Hub responded with status {status}: try again later"
    if _unreachable(error):
        return "the Hub cannot be reached, and it is not in the cache: check the network and the name"
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _status(error: BaseException) -> int | None:
    """The HTTP status of the Hub's response; `None` if there was no response."""
    statuses = (getattr(getattr(each, "response", None), "status_code", None) for each in error_chain(error))
    return next((status for status in statuses if status), None)


def _unreachable(error: BaseException) -> bool:
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    kinds = (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError, TimeoutError, gaierror)
    return not _status(error) and any(isinstance(each, kinds) for each in error_chain(error))


def error_chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, then its cause, then the cause of that, down to the first error."""
    while error:
        yield error
        error = error.__cause__ or error.__context__
