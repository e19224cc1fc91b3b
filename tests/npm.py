"""Packages of npm for tests that run JavaScript; without node or the packages they skip with the reason."""

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def node_with(folder: Path) -> str:
    """Node, with the packages that `package.json` in a folder names installed beside it; no package runs a script."""
    found, npm, modules = shutil.which("node"), shutil.which("npm"), folder / "node_modules"
    if found is None:
        pytest.skip("no node: nothing runs JavaScript here")
    if modules.is_dir():
        return found
    if npm is None:
        pytest.skip(f"no npm, and {modules} does not exist")
    with tempfile.TemporaryDirectory(dir=folder, prefix="node_modules.") as temporary:
        shutil.copy(folder / "package.json", temporary)
        command = [npm, "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(command, cwd=temporary, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm cannot install what {folder.name} needs: {done.stderr.strip()[-200:]}")
        with contextlib.suppress(OSError):  # another process was quicker
            (Path(temporary) / "node_modules").rename(modules)
    return found
