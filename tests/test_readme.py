"""The README tells the truth: its code runs, its commands exist, its tree is the repository's."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT
from typer.main import get_command
from typer.testing import CliRunner

from wav2small.cli.main import app

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = get_command(app).commands
PACKAGES = ("modeling/wav2small", "training/wav2small_training")


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_code_runs(block):
    before = BLOCKS[0] if "predictor" in BLOCKS[block] and block else ""  # blocks go on from the first
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", before + BLOCKS[block]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_command_that_is_shown_exists():
    shown = set(re.findall(r"wav2small (predict|annotate|distill|convert|[a-z]+)(?= )", README))
    known = set(COMMANDS)
    commands = {word for line in README.splitlines() for word in re.findall(r"^wav2small ([a-z-]+)", line.strip())}
    assert commands and commands <= known, f"no such command: {commands - known}"
    assert shown


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0 and len(result.output) > 100


def test_the_tree_is_the_repositorys():
    tree = re.search(r"## Code\n\n```\n(.*?)```", README, re.DOTALL)[1]
    listed = set(re.findall(r"^    ([a-z0-9_]+\.py)", tree, re.MULTILINE))
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    modules = {
        path.rpartition("/")[2] for path in tracked if path.rpartition("/")[0] in PACKAGES and path.endswith(".py")
    }
    assert listed == modules - {"__init__.py"}


def test_every_link_and_picture_is_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
