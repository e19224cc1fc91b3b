"""The Space: starts the page. On your own machine, `wav2small demo` starts the same page."""

import os

from wav2small_demo.app import launch

if __name__ == "__main__":
    launch(os.environ.get("WAV2SMALL_MODELS", "").split())
