"""`wav2small compare`: the change of each pair, and of all."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile
from conftest import RATE, spoken
from typer.testing import CliRunner

import wav2small
from wav2small import Prediction, Wav2SmallError
from wav2small.cli.main import app
from wav2small.inference.compare import Comparison


def prediction(*values: float) -> Prediction:
    return Prediction(*values, start=0, end=1)


@pytest.fixture
def folders(tmp_path):
    """Recordings, and the same in another format and without the upper half of the band."""
    for i in range(3):
        clip = spoken(2, seed=i)
        for name, audio, suffix in (
            ("before", clip, "wav"),
            ("after", np.convolve(clip, np.ones(8) / 8, "same"), "flac"),
        ):
            (tmp_path / name / "sub").mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / name / "sub" / f"{i}.{suffix}", audio, RATE)
    return tmp_path / "before", tmp_path / "after"


def test_folders_are_compared_by_name_and_the_change_is_after_minus_before(folders, tmp_path):
    result = CliRunner().invoke(app, ["compare", *map(str, folders), "--format", "csv"])
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["name"] for row in rows] == ["sub/0", "sub/1", "sub/2"]
    predictor = wav2small.load()
    before, after = predictor(folders[0] / "sub" / "1.wav"), predictor(folders[1] / "sub" / "1.flac")
    assert float(rows[1]["valence_change"]) == pytest.approx(after.valence - before.valence, abs=1e-4)
    output, plot = tmp_path / "out.json", tmp_path / "plot.svg"
    CliRunner().invoke(app, ["compare", *map(str, folders), "-o", str(output), "--plot", str(plot)])
    assert json.loads(output.read_text())[1]["valence_after"] == float(rows[1]["valence_after"])
    assert "95 % interval" in plot.read_text()


def test_a_recording_does_not_differ_from_itself(examples):
    same = examples / "anger_emodb14.flac"
    lines = CliRunner().invoke(app, ["compare", str(same), str(same)]).stdout.splitlines()
    assert lines[1].split()[1:] == ["+0.000", "+0.000", "+0.000", "energetic"]


def test_the_interval_holds_the_mean_and_narrows_with_more_pairs():
    random = np.random.default_rng(0)
    widths = []
    for count in (10, 160):
        after = [prediction(*(0.5 + random.normal([0.1, 0, 0], 0.05)).tolist()) for _ in range(count)]
        mean, (low, high) = Comparison([""] * count, [prediction(0.5, 0.5, 0.5)] * count, after).mean()
        assert (low <= mean).all() and (mean <= high).all() and low[0] > 0
        widths.append((high - low)[0])
    assert widths[1] < widths[0] / 2


def test_a_pair_without_speech_has_no_change_and_does_not_count():
    nothing = prediction(*[float("nan")] * 3)
    comparison = Comparison(["a", "b"], [prediction(0.5, 0.5, 0.5), nothing], [prediction(0.6, 0.5, 0.5)] * 2)
    assert np.isnan(comparison.changes()[1]).all() and comparison.mean()[0][0] == pytest.approx(0.1)
    assert "1 of 2 pairs lack speech" in comparison.summary()


def test_folders_with_different_names_are_an_error(folders, examples):
    (folders[1] / "sub" / "2.flac").unlink()
    for arguments, told in ((folders, "sub/2 is in one of"), ((folders[0], examples / "silence.flac"), "same kind")):
        result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
        assert isinstance(result.exception, Wav2SmallError) and told in str(result.exception)
