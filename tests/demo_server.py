"""The demo as its users start it, on loopback: `wav2small demo`, or the app of a Space."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
from processes import free_port

COMMAND = str(Path(sys.executable).parent / "wav2small")
SECONDS_TO_START = 180  # generous: the machine may be busy


class Demo:
    """A running demo; a context manager.

    Args:
        folder: for its uploads and its log.
        app: script that starts the page, as the Hub does; default: the command `wav2small demo`.
        environment: on top of this process's.
    """

    def __init__(self, folder: Path, app: Path | None = None, environment: dict[str, str] | None = None):
        self.uploads, self.log = folder / "uploads", folder / "demo.log"
        self.uploads.mkdir()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, str(app)] if app else [COMMAND, "demo", "--port", str(port)]
        own = {"GRADIO_TEMP_DIR": str(self.uploads), "TMPDIR": str(self.uploads), "GRADIO_SERVER_PORT": str(port)}
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **own, **(environment or {})},
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            cwd=folder,
        )

    def __enter__(self) -> "Demo":
        end = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < end and self.process.poll() is None:
            try:
                httpx.get(self.url)
                return self
            except httpx.HTTPError:
                time.sleep(0.1)
        self.__exit__()
        raise AssertionError(f"the demo did not start: {self.log.read_text()}")

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(20)

    def expect_no_files(self, seconds: float = 30) -> None:
        """Wait until no file is left on its disk, such as late blocks of a microphone; fail after these seconds."""
        end = time.monotonic() + seconds
        while (left := self.files()) and time.monotonic() < end:
            time.sleep(0.2)
        assert not left, f"the demo kept {left}"

    def files(self) -> list[str]:
        """All files on its disk that are not empty; Gradio leaves empty ones."""
        from wav2small_demo.uploads import files_in  # needs Gradio

        found = []
        for file in files_in(self.uploads):
            with suppress(FileNotFoundError):  # deleted in the meantime
                if file.stat().st_size:
                    found.append(str(file.relative_to(self.uploads)))
        return sorted(found)
