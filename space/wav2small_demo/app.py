"""The demo page, built of its tabs and API, and served."""

import atexit
import os
import signal
import tempfile
import threading
from pathlib import Path

from .upload_folder import make_upload_folder

if "GRADIO_TEMP_DIR" not in os.environ:  # before Gradio is imported, which reads it
    os.environ["GRADIO_TEMP_DIR"] = make_upload_folder()

import gradio as gr
from starlette.middleware import Middleware

import wav2small
from wav2small.bundled import bundled_checkpoints

from . import api, batch, compare, listen, live
from .limits import MAX_BYTES, SESSIONS
from .models import offer
from .uploads import NotFoundIfDeleted, UploadLimits, delete_abandoned, keep_deleting_abandoned, protect

FOLDER = Path(__file__).parent
SYSTEM_FONTS = ["system-ui", "Segoe UI", "Roboto", "sans-serif"]  # the page loads nothing from other servers
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
INTRODUCTION = """<div class="introduction"><h1>How does a voice sound?</h1>
<p>Tiny models predict arousal, dominance and valence. Recordings are deleted after their prediction.</p></div>"""


def build(models: list[str]) -> gr.Blocks:
    """Build the page.

    Args:
        models: folders, names of bundled checkpoints, or ids on the Hub; visitors choose, and the API uses the first.

    Raises:
        Wav2SmallError: if a model cannot be loaded.
    """
    protect()
    gr.set_static_paths([listen.EXAMPLES_FOLDER])
    with gr.Blocks(title="wav2small", analytics_enabled=False) as page:
        gr.HTML(INTRODUCTION)
        offered = offer(models)
        with gr.Tab("Listen", elem_id="listen"):
            listen.tab(offered, page)
        with gr.Tab("Live", elem_id="live"):
            live.tab(offered)
        with gr.Tab("Compare", elem_id="compare"):
            compare.tab(offered)
        with gr.Tab("Batch", elem_id="batch"):
            batch.tab(offered)
        with gr.Tab("About", elem_id="about"):
            gr.Markdown((FOLDER / "about.md").read_text(encoding="utf-8"), elem_classes="about")
        api.add_endpoints(offered[models[0]], models)
    page.queue(default_concurrency_limit=4, max_size=200)
    return page


def stop(uploads: Path) -> None:
    """End the process at once, whatever its threads do; nobody's recording is left."""
    delete_abandoned(uploads, max_age=0)
    os._exit(0)


def launch(models: list[str], port: int | None = None) -> None:
    """Serve the page until the process is stopped.

    Args:
        models: as for `build`; default: the bundled checkpoints.
        port: default: the first free one from 7860.

    Raises:
        Wav2SmallError: if a model cannot be loaded, or the port is taken.
    """
    uploads = Path(os.environ["GRADIO_TEMP_DIR"])
    tempfile.tempdir = str(uploads)  # also for uploads that are not complete
    threading.Thread(target=keep_deleting_abandoned, args=[uploads], daemon=True).start()
    atexit.register(delete_abandoned, uploads, max_age=0)
    signal.signal(signal.SIGTERM, lambda *_: stop(uploads))
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    try:
        build(models or list(bundled_checkpoints())).launch(
            server_port=port, ssr_mode=False, max_file_size=MAX_BYTES, theme=THEME, css_paths=FOLDER / "page.css",
            head=f"<script>{script}</script>", footer_links=["api", "settings"],
            app_kwargs={"middleware": [Middleware(NotFoundIfDeleted), Middleware(UploadLimits)]},
            state_session_capacity=SESSIONS,
        )  # fmt: skip
    except OSError as error:
        raise wav2small.Wav2SmallError(f"the demo cannot be served ({error}): choose another port") from None
