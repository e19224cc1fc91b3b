"""Rules that keep the code readable and the packages apart."""

import ast
import re
import subprocess

import pytest
from conftest import ROOT

SOURCES = sorted([*(ROOT / "modeling").rglob("*.py"), *(ROOT / "training").rglob("*.py")])
SOURCES = [path for path in SOURCES if "pretrained" not in path.parts]


def imports(path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_imports_go_one_way(path):
    for name in imports(path):
        assert not re.match(r"(modeling|training|tests)\b", name), f"{path.name} imports {name}"
        if "modeling" in path.parts and path.name not in ("cli.py", "cli_maker.py"):
            assert not name.startswith("wav2small_training"), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_no_file_names_a_path_of_the_machine_that_made_it():
    words = re.compile("|".join(rf"(?<!\w)/{top}/\w" for top in ("home", "root", "Users", "work")))
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in listed:
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        found = words.search(content.decode("utf-8", errors="ignore"))
        assert not found, f"{name} says {found[0]!r}"
