"""Uploads: each in a folder of its own, deleted after use, and never named in the log."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from gradio import Error, processing_utils, route_utils
from gradio.utils import get_upload_folder
from starlette.datastructures import Headers, QueryParams
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wav2small import Wav2SmallError

from .limits import BLOCK_MAX_AGE, MAX_AGE, QUOTA

RECORDER_FILE = "audio.wav"  # what Gradio's recorder calls a recording
BLOCK_FILE = "block-of-the-microphone.wav"
# what page.js tells of the upload that is received
origin: ContextVar[dict[str, str] | None] = ContextVar("origin", default=None)


@contextmanager
def uploaded(path: str) -> Iterator[Path]:
    """Open an upload; when the block ends, with or without an error, the file is deleted.

    Raises:
        Wav2SmallError: if the path is not that of an upload; a caller of the API can send any path.
    """
    file = Path(path).resolve()
    if not file.is_relative_to(Path(get_upload_folder()).resolve()):
        raise Wav2SmallError(f"{file.name} was not uploaded")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
        with suppress(OSError):  # its folder holds this file alone
            file.parent.rmdir()


class UploadInOwnFolder(route_utils.GradioUploadFile):
    """An upload with a folder of its own.

    Gradio derives the name of the folder from the content. Two people who upload the same recording would share one
    file, and after the first prediction it would be missing for the second. Gradio's recorder sends each recording
    twice, and this must give one file: so its recordings have a folder for each open page, which tells its number with
    the upload. The page also tells which uploads are blocks of the live microphone.
    """

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        told = origin.get() or {}
        page = told.get("page") if self.filename == RECORDER_FILE else None
        self.sha.update(page.encode() if page else secrets.token_bytes(20))
        if self.filename == RECORDER_FILE and "live" in told:
            self.filename = BLOCK_FILE
        elif self.filename == BLOCK_FILE:
            self.filename = RECORDER_FILE


class UploadLimits:
    """Middleware: uploads say where they come from, and wait for their prediction in a bounded space."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, as ASGI defines it."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith("/upload"):
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if not declared.isdecimal():
            await PlainTextResponse("an upload must say how long it is", 411)(scope, receive, send)
        elif int(declared) + waiting_bytes(Path(get_upload_folder())) > QUOTA:
            text = "too many recordings wait for their prediction: try again in a few minutes"
            await PlainTextResponse(text, 503)(scope, receive, send)
        else:
            origin.set(dict(QueryParams(scope["query_string"])))
            await self.app(scope, receive, send)


def refuse_download(*_: object, **__: object) -> str:
    """In the place of Gradio's download of an address that a caller gives in the place of a recording."""
    raise Error("an address on the internet is not fetched: upload the recording itself", print_exception=False)


class NotFoundIfDeleted:
    """Middleware: an upload that is deleted while the page fetches it gives status 404, and no error.

    Gradio checks that a file exists before it opens it. If the file is deleted between the two, the traceback would
    write the name of a private recording to the log.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, as ASGI defines it."""
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except (FileNotFoundError, RuntimeError) as error:  # Starlette raises the second because of the first
            deleted = isinstance(error, FileNotFoundError) or isinstance(error.__context__, FileNotFoundError)
            if not deleted or "/file=" not in scope.get("path", ""):
                raise
            if not started:
                await PlainTextResponse("deleted", 404)(scope, receive, send)


def files_in(folder: Path) -> Iterator[Path]:
    """All files in a folder, also while others delete its folders, at which `Path.rglob` fails before Python 3.13."""
    return (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)


def waiting_bytes(folder: Path) -> int:
    """How much the uploads take up that were not used yet."""
    total = 0
    for file in files_in(folder):
        with suppress(OSError):  # used, and so deleted, in the meantime
            total += file.stat().st_size
    return total


def delete_abandoned(folder: Path, max_age: float = MAX_AGE) -> None:
    """Delete uploads that nobody will use: broken off, or their page was closed, or the microphone stopped."""
    for file in files_in(folder):
        with suppress(OSError):  # used, and so deleted, in the meantime
            age = time.time() - file.stat().st_mtime
            if age > min(max_age, BLOCK_MAX_AGE if file.name == BLOCK_FILE else max_age):
                file.unlink()


def protect() -> None:
    """Put these rules in the place of those of Gradio."""
    route_utils.GradioUploadFile = UploadInOwnFolder  # type: ignore[misc]
    for name in ("ssrf_protected_download", "async_ssrf_protected_download", "save_url_to_cache"):
        setattr(processing_utils, name, refuse_download)


def keep_deleting_abandoned(folder: Path) -> None:
    """Delete abandoned uploads every few seconds, for as long as the process lives."""
    while True:
        delete_abandoned(folder)
        time.sleep(BLOCK_MAX_AGE)
