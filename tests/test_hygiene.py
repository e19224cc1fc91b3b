"""Rules that keep the code readable and the packages apart."""

import ast
import re
import subprocess
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGES = {"wav2small": "modeling", "wav2small_training": "training", "wav2small_demo": "space"}  # package: its folder
SOURCES = sorted(path for package, folder in PACKAGES.items() for path in (ROOT / folder / package).rglob("*.py"))
SOURCES = [path for path in SOURCES if "pretrained" not in path.parts]


# rooms of each package, on floors: a file imports from its own room and from floors below; "" is the top folder
FLOORS = {
    "wav2small": [("models",), ("",), ("inference", "provenance"), ("convert",), ("cli",)],
    "wav2small_training": [("",), ("data",), ("distillation", "evaluation", "exporters"), ("benchmarks",), ("hub",)],
    "wav2small_demo": [("",)],
}
ABOVE_ALL = {"wav2small.__init__", "wav2small_training.cli"}  # public names, and the makers' commands


def dotted(path: Path) -> list[str]:
    """The full name of a module, from its file: wav2small, models, audio."""
    root = next(root for root in PACKAGES.values() if (ROOT / root) in path.parents)
    return list(path.relative_to(ROOT / root).with_suffix("").parts)


MODULES = {".".join(dotted(path)).removesuffix(".__init__"): path for path in SOURCES}


def imports(path: Path) -> set[str]:
    """All modules that a file imports, anywhere in it, ours by their full names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = dotted(path)[: -node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                found.add(f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source)
    return found


def floor(name: str) -> tuple[int, str]:
    """Floor and room of a module."""
    package, *rest = name.split(".")
    room = rest[0] if len(rest) > 1 or (name in MODULES and MODULES[name].name == "__init__.py" and rest) else ""
    return next((i, room) for i, rooms in enumerate(FLOORS[package]) if room in rooms)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: ".".join(dotted(path)))
def test_imports_go_one_way(path):
    here = ".".join(dotted(path))
    for name in imports(path):
        assert not re.match(r"(modeling|training|space|tests)\b", name), f"{here} imports {name}"
        package, own = name.partition(".")[0], here.partition(".")[0]
        if package not in FLOORS:
            continue
        assert package in (own, "wav2small"), (
            f"{here} imports {name}: training and demo know only wav2small, it neither"
        )
        if package == own and here not in ABOVE_ALL:
            (mine, my_room), (its, its_room) = floor(here), floor(name)
            assert my_room == its_room or its < mine, f"{here} imports upwards, or sideways: {name}"


def test_there_is_no_circle_of_imports():
    graph = {name: imports(path) & MODULES.keys() - {name} for name, path in MODULES.items() if name != "wav2small"}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_rule_of_one_way_sees_an_import_inside_a_function():
    assert "wav2small.inference.predictor" in imports(MODULES["wav2small.cli.main"])


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
