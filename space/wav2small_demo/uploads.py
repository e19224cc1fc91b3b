"""Uploads: each in a folder of its own, deleted after use, and never named in the log."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gradio import route_utils
from gradio.utils import get_upload_folder
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wav2small import Wav2SmallError

RECORDER_FILE = "audio.wav"  # what Gradio's recorder calls a recording
MAX_AGE = 900  # s that an upload may wait to be used
BLOCK_BYTES, BLOCK_MAX_AGE = 100_000, 5  # a block of the live microphone is smaller, and used at once or never


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
    file, and after the first prediction it would be missing for the second. Uploads of Gradio's recorder keep their
    folder: the recorder sends each recording twice, and this must give one file.
    """

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        if self.filename != RECORDER_FILE:
            self.sha.update(secrets.token_bytes(20))


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


def delete_abandoned(folder: Path) -> None:
    """Delete uploads that nobody will use: broken off, or their page was closed, or the microphone stopped."""
    for file in folder.rglob("*"):
        with suppress(OSError):  # used, and so deleted, in the meantime
            status = file.stat()
            block = file.name == RECORDER_FILE and status.st_size < BLOCK_BYTES
            if file.is_file() and time.time() - status.st_mtime > (BLOCK_MAX_AGE if block else MAX_AGE):
                file.unlink()


def keep_deleting_abandoned(folder: Path) -> None:
    """Delete abandoned uploads every few seconds, for as long as the process lives."""
    while True:
        delete_abandoned(folder)
        time.sleep(BLOCK_MAX_AGE)
