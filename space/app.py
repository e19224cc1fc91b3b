"""The demo: a page to hear how a voice sounds, and an API. `python app.py`, or `wav2small demo`."""

import atexit
import os
import secrets
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

# before Gradio is imported: where uploads lie until they are answered
if "GRADIO_TEMP_DIR" not in os.environ:
    os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="wav2small-demo-")
    atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)

import gradio as gr
from gradio import route_utils
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import api
import batch
import compare
import listen
import live
import wav2small
from recording import MAX_BYTES
from wav2small.hub import error_chain

HERE = Path(__file__).parent
RECORDED = "audio.wav"  # what Gradio's recorder calls a recording
MAX_WAIT = 900  # s that an upload may wait for its answer
BLOCK_BYTES, BLOCK_WAIT = 100_000, 5  # a block of the live microphone is smaller, and answered at once or not at all
SYSTEM_FONTS = ["system-ui", "Segoe UI", "Roboto", "sans-serif"]  # nothing is loaded from elsewhere
THEME = gr.themes.Soft(
    primary_hue="indigo", neutral_hue="slate", font=SYSTEM_FONTS, font_mono=["ui-monospace", "monospace"]
).set(  # enough contrast everywhere
    body_text_color_subdued="#52607a",
    body_text_color_subdued_dark="#a9b4c6",
    block_border_width="1px",
    block_border_color="*border_color_primary",
    color_accent="*primary_600",
    block_label_text_color="*primary_700",
    block_title_text_color="*primary_700",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    checkbox_label_background_fill_selected="*primary_600",
)
INTRO = """<div class="intro"><h1>How does a voice sound?</h1>
<p>Tiny models hear arousal, dominance and valence in speech. Audio is deleted as soon as it is answered.</p></div>"""


class OwnUpload(route_utils.GradioUploadFile):
    """An upload with a folder of its own.

    Gradio names the folder by the content, so two people who upload the same recording would share one file, and the
    answer to the first would delete it under the second. What its recorder sends keeps that name: it sends it twice,
    and one file must remain.
    """

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        if self.filename != RECORDED:
            self.sha.update(secrets.token_bytes(20))


route_utils.GradioUploadFile = OwnUpload  # type: ignore[misc]


class DeletedMeanwhile:
    """An upload that is deleted, because it is answered, while its page still fetches it: not found, and no error.

    Gradio looks whether a file is there before it opens it; between the two it may go, and the traceback would leave
    the name of somebody's recording in the log.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, as ASGI has it."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except (FileNotFoundError, RuntimeError) as error:  # Starlette turns the first into the second
            deleted = any(isinstance(each, FileNotFoundError) for each in error_chain(error))
            if not deleted or "/file=" not in scope.get("path", ""):
                raise
            if not started:
                await PlainTextResponse("deleted", 404)(scope, receive, send)


def sweep(folder: Path) -> None:
    """Delete uploads that nobody will answer: they broke off, or their page was closed, or the microphone stopped."""
    for file in folder.rglob("*"):
        with suppress(OSError):  # answered, and so deleted, meanwhile
            status = file.stat()
            block = file.name == RECORDED and status.st_size < BLOCK_BYTES
            if file.is_file() and time.time() - status.st_mtime > (BLOCK_WAIT if block else MAX_WAIT):
                file.unlink()


def keep_sweeping(folder: Path) -> None:
    """Sweep for as long as the process lives."""
    while True:
        sweep(folder)
        time.sleep(BLOCK_WAIT)


def build(models: list[str]) -> gr.Blocks:
    """Build the page.

    Args:
        models: folders or ids on the Hub, or "bundled"; the first answers, all can be compared.
    """
    predictor = wav2small.load(None if models[0] == "bundled" else models[0])
    gr.set_static_paths([listen.FOLDER])
    with gr.Blocks(title="wav2small", analytics_enabled=False) as page:
        gr.HTML(INTRO)
        with gr.Tab("Listen", elem_id="listen"):
            listen.tab(predictor)
        with gr.Tab("Live", elem_id="live"):
            live.tab(predictor)
        with gr.Tab("Compare", elem_id="compare"):
            compare.tab(predictor, models)
        with gr.Tab("Batch", elem_id="batch"):
            batch.tab(predictor)
        with gr.Tab("About", elem_id="about"):
            gr.Markdown((HERE / "about.md").read_text(encoding="utf-8"), elem_classes="about")
        api.add_endpoints(predictor, models)
    page.queue(default_concurrency_limit=4, max_size=200)
    return page


def launch(models: list[str], port: int | None = None, wait: bool = True) -> str:
    """Serve the page; returns its address once it is up, or, if it is to wait, when it has been stopped."""
    tempfile.tempdir = os.environ["GRADIO_TEMP_DIR"]  # for the part of an upload that breaks off
    threading.Thread(target=keep_sweeping, args=[Path(tempfile.tempdir)], daemon=True).start()
    script = (HERE / "page.js").read_text(encoding="utf-8")
    try:
        _, address, _ = build(models).launch(
            server_port=port, prevent_thread_lock=not wait, ssr_mode=False, max_file_size=MAX_BYTES, theme=THEME,
            css_paths=HERE / "page.css", head=f"<script>{script}</script>", footer_links=["api", "settings"],
            app_kwargs={"middleware": [Middleware(DeletedMeanwhile)]},
        )  # fmt: skip
    except OSError as error:
        raise wav2small.Wav2SmallError(f"the demo cannot be served ({error}): choose another port") from None
    return address


if __name__ == "__main__":
    launch(os.environ.get("WAV2SMALL_MODELS", "bundled").split())
