"""The command `wav2small demo`; Gradio is imported only when it runs."""

from typing import Annotated

import typer

from wav2small.cli.command import require_extra

app = typer.Typer()


@app.command()
def demo(
    model: Annotated[
        list[str] | None, typer.Option(help="As for predict; repeat to compare models; default: all bundled ones.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: the first free one from 7860.")] = None,
) -> None:
    """Serve the demo page on this computer.

    The page predicts recordings, the microphone, and many files at once, and compares models. Recordings are sent
    nowhere, and deleted after their prediction.
    """
    with require_extra("space"):
        from .app import launch
    launch(model or [], port)
