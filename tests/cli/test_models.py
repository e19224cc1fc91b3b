"""`wav2small models`: what a user needs to choose a checkpoint, without torch."""

import json
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from wav2small import Wav2SmallError
from wav2small.bundled import BUNDLED, DEFAULT, bundled_checkpoints
from wav2small.cli.main import app
from wav2small.inference.catalogue import Entry, catalogue, common_report, read_quality


@pytest.fixture
def other(tmp_path):
    """A checkpoint without ONNX files, whose reports are of other weights."""
    folder = shutil.copytree(BUNDLED, tmp_path / "other", ignore=shutil.ignore_patterns("onnx"))
    (folder / "model.safetensors").write_bytes(b"other weights")
    return folder


def test_each_checkpoint_has_a_row_with_size_quality_time_and_licence(other, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(app, ["models", str(other)])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert max(map(len, lines)) <= 80
    places = [next(i for i, line in enumerate(lines) if line.startswith(name)) for name in bundled_checkpoints()]
    assert places == sorted(places), "the default one is the first"
    size = (BUNDLED / "onnx" / "model_quantized.onnx").stat().st_size
    report = json.loads((BUNDLED / "results" / "emodb.json").read_text())
    name, kilobytes, *quality, milliseconds, ratio, licence = lines[places[0]].split()
    assert (name, kilobytes, ratio, licence) == (DEFAULT, f"{size / 1000:.0f}", "1.00", "CC-BY-4.0")
    assert float(milliseconds) > 0
    shown = [row["pearson"] for row in report["agreement"] if row["condition"] == "as recorded"]
    assert all(any(f"{r:.2f}" == value for r in shown) for value in quality) and len(quality) == 3
    assert " - - - - - - CC-BY-4.0" in " ".join(" ".join(lines[places[-1] + 1 :]).split())


def test_quality_is_read_from_reports_of_these_weights_alone(other):
    for folder in bundled_checkpoints().values():
        assert {len(values) for values in read_quality(folder).values()} == {3}
    assert read_quality(other) == {}
    (other / "results" / "emodb.json").write_text('{"agreement": [], "settings": {}}')
    with pytest.raises(Wav2SmallError, match=r"emodb.json is not a report"):
        read_quality(other)


def test_a_checkpoint_that_cannot_be_timed_is_listed_and_a_folder_that_is_none_is_named(other, tmp_path):
    (entry,) = catalogue({"other": other})
    assert (entry.bytes, entry.ms, entry.pearson) == (None, None, {})
    with pytest.raises(Wav2SmallError, match=r"has no config\.json: it is not a checkpoint"):
        catalogue({"empty": tmp_path})


def test_checkpoints_are_compared_by_the_report_that_most_of_them_have(tmp_path):
    scores = (0.9, 0.8, 0.6)
    reports = [{"acted": scores}, {"acted": scores, "a": scores}, {"rated": scores}]
    assert common_report([Entry("", tmp_path, None, each, None) for each in reports]) == "acted"
    assert common_report([]) == ""


def test_the_list_needs_no_torch():
    code = (
        "import sys; from wav2small.cli.main import app; "
        "app(['models'], standalone_mode=False); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
