"""What `pip install` installs, and what an import loads."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

from wav2small.bundled import bundled_checkpoints

CHECKPOINTS = [*bundled_checkpoints().values(), *sorted((ROOT / "checkpoints").glob("*"))]
PACKAGES = {"wav2small": "modeling", "wav2small_training": "training", "wav2small_demo": "space"}  # package: its folder
pytest.importorskip("hatchling", reason="building a wheel needs hatchling")


def tracked(folder: str) -> set[str]:
    """The files below a folder that git knows, by their paths in the checkout."""
    listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_puts_three_packages_and_nothing_else_on_the_import_path(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_every_tracked_file_of_the_packages_is_in_the_wheel(wheel):
    names = set(wheel.namelist())
    for package, root in PACKAGES.items():
        expected = {file.removeprefix(f"{root}/") for file in tracked(f"{root}/{package}")}
        assert expected <= names, f"the wheel lacks {sorted(expected - names)}"


def test_an_installed_wheel_holds_the_page_once_and_publishes_the_whole_space(wheel, tmp_path):
    beside = {name for name in wheel.namelist() if name.startswith("wav2small/space/")}
    assert beside == {f"wav2small/space/{name}" for name in ("README.md", "app.py", "requirements.txt")}
    site, out = tmp_path / "site-packages", tmp_path / "space"
    wheel.extractall(site)
    code = "import sys, pathlib; from wav2small_training.hub.publish import copy_space; copy_space(None, pathlib.Path("
    command = [sys.executable, "-c", f"{code}sys.argv[1]))", str(out)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(site)}, cwd=tmp_path, check=True)
    published = {f"space/{path.relative_to(out).as_posix()}" for path in out.rglob("*") if path.is_file()}
    assert published == tracked("space")
    for name in published:
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_a_bundled_checkpoint_is_complete_and_small(wheel, name):
    folder = f"wav2small/pretrained/{name}/"
    sizes = {info.filename.removeprefix(folder): info.file_size for info in wheel.infolist() if folder in info.filename}
    expected = {"config.json", "model.safetensors", "preprocessor_config.json", "words.json", "provenance.json"}
    expected |= {"README.md", "onnx/model.onnx", "onnx/model_quantized.onnx", "onnx/model_q4.onnx"}
    assert expected <= set(sizes)
    assert sum(sizes.values()) < 1_100_000


@pytest.mark.parametrize("folder", CHECKPOINTS, ids=lambda folder: folder.name)
def test_the_code_in_a_checkpoint_is_that_of_the_package(folder):
    copies = sorted(folder.glob("*.py"))
    assert copies
    for copy in copies:
        assert copy.read_text() == (ROOT / "modeling" / "wav2small" / "models" / copy.name).read_text(), (
            f"{copy.relative_to(ROOT)} differs: copy it from modeling/wav2small/models"
        )


@pytest.mark.parametrize("root", ["modeling", "training", "space", "hub_cards"])
def test_a_source_root_is_no_package(root):
    assert not (ROOT / root / "__init__.py").exists()


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, wav2small; dir(wav2small); "
        "print([n for n in ('torch', 'transformers', 'numpy', 'onnxruntime') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_imported():
    import wav2small

    for name in wav2small.__all__:
        assert getattr(wav2small, name).__name__ == name
    with pytest.raises(AttributeError, match="nonsense"):
        wav2small.nonsense  # noqa: B018


def test_the_type_checker_sees_every_public_name():
    text = (Path(ROOT) / "modeling/wav2small/__init__.py").read_text()
    import wav2small

    for name in wav2small.__all__:
        assert f"import {name} as {name}" in text
