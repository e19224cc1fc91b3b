"""Fixtures: a checkpoint and a Space that may be published. The extra [training] is imported where it is used."""

import shutil
from pathlib import Path

import pytest
import soundfile
from conftest import RATE, voice_like

from wav2small.bundled import BUNDLED

NAME = "lab/student"


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The bundled checkpoint, which has all that publishing asks for, with a card for its place on the Hub."""
    from wav2small_training.hub import card

    folder = tmp_path_factory.mktemp("finished") / "student"
    shutil.copytree(BUNDLED, folder, ignore=shutil.ignore_patterns("README.md", "__pycache__"))
    card.write_card(folder, id=NAME)
    return folder


@pytest.fixture
def student(finished, tmp_path) -> Path:
    """The same, for a test to change."""
    return shutil.copytree(finished, tmp_path / "student")


@pytest.fixture
def space(tmp_path) -> Path:
    """A small Space with an example that the Hub keeps in LFS."""
    folder = tmp_path / "space"
    (folder / "examples").mkdir(parents=True)
    front = "title: Ear\nsdk: gradio\nsdk_version: 6.17.3\napp_file: app.py\nlicense: apache-2.0"
    (folder / "README.md").write_text(f"---\n{front}\n---\n# Ear\n")
    (folder / "app.py").write_text("import gradio\n")
    (folder / "requirements.txt").write_text("wav2small==0.1.0\n")
    soundfile.write(folder / "examples" / "a.flac", voice_like(0.5), RATE)
    return folder
