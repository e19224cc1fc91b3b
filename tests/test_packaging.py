"""What `pip install` puts on a user's disk, and what an import costs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

pytest.importorskip("hatchling", reason="building a wheel needs hatchling")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"wav2small", "wav2small_training"}


def test_every_tracked_file_of_the_packages_is_in_the_wheel(wheel):
    names = set(wheel.namelist())
    for root in ("modeling", "training"):
        listed = subprocess.run(
            ["git", "ls-files", f"{root}/wav2small*"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        expected = {file.removeprefix(f"{root}/") for file in listed.stdout.split()}
        assert expected <= names, f"the wheel lacks {sorted(expected - names)}"


def test_the_bundled_checkpoint_is_whole_and_below_one_megabyte(wheel):
    files = {info.filename: info.file_size for info in wheel.infolist() if "/pretrained/" in info.filename}
    names = {name.split("/pretrained/")[1] for name in files}
    assert {"config.json", "model.safetensors", "onnx/model.onnx", "preprocessor_config.json", "README.md"} <= names
    assert sum(files.values()) < 1_000_000


def test_the_bundled_code_is_the_packages_code():
    package = ROOT / "modeling" / "wav2small"
    copies = sorted((package / "pretrained").glob("*.py"))
    assert copies
    for copy in copies:
        assert copy.read_text() == (package / "models" / copy.name).read_text(), (
            f"{copy.name} differs: save the checkpoint again"
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


def test_every_public_name_can_be_had():
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
