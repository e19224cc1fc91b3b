"""A checkpoint and a Space that may be published."""

import shutil
from pathlib import Path

import soundfile
from conftest import RATE, voice_like

from wav2small.bundled import BUNDLED
from wav2small_training.hub import card

NAME = "lab/student"


def write_student(folder: Path) -> Path:
    """The bundled checkpoint, which has all that publishing asks for, with a card for its place on the Hub."""
    shutil.copytree(BUNDLED, folder, ignore=shutil.ignore_patterns("README.md", "__pycache__"))
    card.write_card(folder, id=NAME)
    return folder


def write_space(folder: Path) -> Path:
    """A small Space with an example that the Hub keeps in LFS."""
    (folder / "examples").mkdir(parents=True)
    front = "title: Ear\nsdk: gradio\nsdk_version: 6.17.3\napp_file: app.py\nlicense: apache-2.0"
    (folder / "README.md").write_text(f"---\n{front}\n---\n# Ear\n")
    (folder / "app.py").write_text("import gradio\n")
    (folder / "requirements.txt").write_text("wav2small==0.1.0\n")
    soundfile.write(folder / "examples" / "a.flac", voice_like(0.5), RATE)
    return folder
