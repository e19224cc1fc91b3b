"""Prediction intervals: measured on rated speech, by length and noise; wide ones take a word away."""

import csv
import io
import json
import math
import shutil

import numpy as np
import pytest
import soundfile
from conftest import RATE, spoken
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import wav2small
from wav2small import Prediction, Wav2SmallError
from wav2small.bundled import BUNDLED
from wav2small.cli.main import app
from wav2small.inference.intervals import COVERAGES, GROUPS, INTERVALS_FILE, QUANTILES, Intervals, group
from wav2small.inference.speech import level_range
from wav2small.inference.words import AffectWords
from wav2small.models.adv import LABELS
from wav2small_training.evaluation.intervals import crops, quantiles
from wav2small_training.hub.card_text import held

ERRORS = ((-0.3, -0.2, -0.1, 0.1, 0.2, 0.3),) * 3
WIDER = np.array(ERRORS) * np.linspace(2, 1, GROUPS)[:, None, None]  # the shorter and noisier, the wider


def prediction(arousal: float, **fields) -> Prediction:
    return Prediction(arousal, 0.5, 0.5, start=0, end=2, errors=ERRORS, **fields)


@pytest.fixture
def checkpoint(tmp_path):
    """A copy of the bundled checkpoint, with intervals that are known."""
    folder = shutil.copytree(BUNDLED, tmp_path / "checkpoint")
    Intervals.of(WIDER, "an example").write(folder)
    return folder


def test_an_interval_holds_its_prediction_and_grows_with_the_coverage():
    widths = []
    for coverage in COVERAGES:
        low, high = prediction(0.6).interval("arousal", coverage)
        assert low < 0.6 < high
        widths.append(high - low)
    assert widths == sorted(widths) and prediction(0.6).interval("arousal") == prediction(0.6).interval("arousal", 0.8)


def test_a_dimension_or_a_coverage_that_there_is_not_is_an_error():
    with pytest.raises(Wav2SmallError, match="must be one of arousal, dominance, valence"):
        prediction(0.5).interval("anger")
    with pytest.raises(Wav2SmallError, match=r"measured for 0\.5, 0\.8, 0\.9"):
        prediction(0.5).interval("arousal", 0.99)


def test_without_intervals_or_speech_an_interval_has_no_numbers(checkpoint, wav, examples):
    (checkpoint / INTERVALS_FILE).unlink()
    for one in (wav2small.load(checkpoint)(wav), wav2small.load()(examples / "silence.flac")):
        assert all(math.isnan(end) for end in one.interval("valence"))
        assert one.as_dict()["valence_low"] is None


def test_short_and_noisy_speech_has_the_intervals_of_its_group(checkpoint):
    predictor = wav2small.load(checkpoint)
    voice = spoken(6)
    noise = 0.3 * voice.std() * np.random.default_rng(0).normal(size=len(voice)).astype(np.float32)
    assert level_range(voice + noise) < level_range(voice)

    def width(samples: np.ndarray) -> float:
        low, high = predictor((samples, RATE)).interval("arousal")
        return high - low

    assert width(voice) < width(voice[: RATE // 2]) and width(voice) <= width(voice + noise)


def test_the_interval_of_a_mean_is_the_mean_of_the_intervals(checkpoint):
    predictor = wav2small.load(checkpoint)
    windows = predictor.timeline((spoken(6), RATE), window=3, hop=3)
    mean = predictor.mean(windows)
    expected = np.mean([window.interval("arousal") for window in windows], axis=0)
    assert mean.interval("arousal") == pytest.approx(tuple(expected), abs=1e-5)


def test_a_word_is_given_only_where_the_interval_is_on_one_side_of_the_middle():
    words = AffectWords((0.4, 0.6), (0.4, 0.6), "")
    assert words(0.7, 0.5, (0.55, 0.8), (0.4, 0.6)) == "energetic"
    assert words(0.7, 0.5, (0.45, 0.8), (0.4, 0.6)) == "unsure"
    assert words(0.7, 0.3, (0.55, 0.8), (0.1, 0.6)) == "energetic", "of valence nothing can be said"
    assert words(0.7, 0.3, (0.55, 0.8), (0.1, 0.45)) == "tense"


def test_a_checkpoint_with_wide_intervals_says_unsure(checkpoint, examples):
    Intervals.of(np.array([[(-9, -9, -9, 9, 9, 9)] * 3] * GROUPS), "an example").write(checkpoint)
    assert wav2small.load(checkpoint)(examples / "anger_emodb14.flac").word == "unsure"


def test_two_predictions_differ_where_their_intervals_do_not_touch():
    assert prediction(0.2).differs(prediction(0.7), "arousal")
    assert not prediction(0.2).differs(prediction(0.5), "arousal")
    assert prediction(0.2).differs(prediction(0.5), "arousal", coverage=0.5)
    assert not prediction(0.2).differs(Prediction(*[math.nan] * 3, 0, 1), "arousal")


def test_every_output_has_the_intervals(wav, tmp_path):
    from pyarrow import parquet

    one = wav2small.load()(wav)
    low, high = one.interval("valence")
    for name in ("out.csv", "out.json", "out.parquet"):
        assert CliRunner().invoke(app, ["predict", str(wav), "--output", str(tmp_path / name)]).exit_code == 0
    (row,) = csv.DictReader((tmp_path / "out.csv").open())
    (record,) = json.loads((tmp_path / "out.json").read_text())
    (cells,) = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    for found in (row, record, cells):
        assert (float(found["valence_low"]), float(found["valence_high"])) == pytest.approx((low, high), abs=1e-5)


def test_compare_marks_changes_beyond_the_errors_of_the_model(examples, tmp_path):
    arguments = ["compare", str(examples / "sadness_emodb14.flac"), str(examples / "anger_emodb14.flac")]
    result = CliRunner().invoke(app, [*arguments, "--format", "csv"])
    (row,) = csv.DictReader(io.StringIO(result.output))
    assert row["arousal_differs"] == "True"
    assert "*" in CliRunner().invoke(app, arguments).output
    (row,) = csv.DictReader(
        io.StringIO(CliRunner().invoke(app, [*arguments[:2], arguments[1], "--format", "csv"]).output)
    )
    assert row["arousal_differs"] == "False"


@pytest.mark.parametrize("content", ["no JSON", "{}", '{"errors": [[1, 2]], "measured_on": "", "checked": []}'])
def test_a_broken_file_is_an_error_that_names_the_remedy(checkpoint, content):
    (checkpoint / INTERVALS_FILE).write_text(content)
    with pytest.raises(Wav2SmallError, match=r"intervals\.json holds no intervals .*wav2small calibrate"):
        wav2small.load(checkpoint)


def test_bundled_intervals_say_what_they_were_measured_on_and_how_often_they_hold():
    intervals = Intervals.read(BUNDLED)
    assert "stand for ratings" in intervals.measured_on
    assert {"on", "crops", *LABELS} == set(intervals.checked[0]) and len(intervals.checked) > 1


def test_a_card_says_what_the_intervals_refer_to_and_how_often_they_hold():
    intervals = Intervals.read(BUNDLED)
    text = held(intervals)
    assert intervals.measured_on in text
    for one in intervals.checked:
        assert f"{one['on']} {one['arousal']} / {one['dominance']} / {one['valence']}" in text


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_new_clips_of_the_same_kind_lie_in_the_interval_as_often_as_it_says(seed):
    random = np.random.default_rng(seed)
    errors, groups = random.gumbel(0, 0.1, (2000, 3)), random.integers(0, GROUPS, 2000)
    intervals = Intervals.of(quantiles(errors, groups), "")
    low, high = QUANTILES.index(0.1), QUANTILES.index(0.9)
    new = random.gumbel(0, 0.1, (2000, 3))
    bounds = np.array([intervals.errors[each] for each in random.integers(0, GROUPS, 2000)])
    share = np.mean((bounds[:, :, low] <= new) & (new <= bounds[:, :, high]))
    assert share == pytest.approx(0.8, abs=0.04)


def test_crops_are_from_the_middle_and_a_short_clip_is_whole():
    assert [len(each) / RATE for each in crops(np.zeros(6 * RATE))] == [0.5, 1.5, 5]
    assert [len(each) / RATE for each in crops(np.zeros(RATE))] == [0.5, 1]


def rated_corpus(folder, columns: str, rating) -> None:
    folder.mkdir()
    lines = [f"file_name,speaker,{columns}"]
    for i in range(12):
        soundfile.write(folder / f"{i}.flac", spoken(1.2, seed=i), RATE)
        lines.append(f"{i}.flac,speaker{i % 2},{rating(i)}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


def test_calibrate_measures_intervals_on_people_s_ratings_and_checks_them_elsewhere(checkpoint, tmp_path):
    rated_corpus(tmp_path / "rated", "arousal,dominance,valence", lambda i: f"{(i + 1) / 16},0.5,0.9")
    rated_corpus(tmp_path / "acted", "emotion", lambda i: ["anger", "neutral"][i % 2])
    rated_corpus(tmp_path / "read", "text", lambda i: "a")
    for i in range(12, 22):
        shutil.copy(tmp_path / "read" / "1.flac", tmp_path / "read" / f"{i}.flac")
    (tmp_path / "read" / "metadata.csv").unlink()
    arguments = [checkpoint, tmp_path / "read", "--check", tmp_path / "acted", "--rated", tmp_path / "rated"]
    result = CliRunner().invoke(app, ["calibrate", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    intervals = Intervals.read(checkpoint)
    assert "people's ratings" in intervals.measured_on and "12 clips of 2 speakers of rated" in intervals.measured_on
    assert [one["on"] for one in intervals.checked][0::3] == ["rated, other speakers", "acted, as recorded"]
    assert "rated, other speakers" in result.output
    low, high = wav2small.load(checkpoint)(tmp_path / "rated" / "0.flac").interval("valence")
    assert low < 0.9 < high, "the rating of all clips"


def test_calibrate_refuses_speech_without_ratings(checkpoint, tmp_path):
    rated_corpus(tmp_path / "read", "text", lambda i: "a")
    result = CliRunner().invoke(
        app, ["calibrate", str(checkpoint), str(tmp_path / "read"), "--rated", str(tmp_path / "read")]
    )
    assert isinstance(result.exception, Wav2SmallError)
    assert "needs a metadata.csv with the columns speaker and emotion" in str(result.exception)


def test_the_groups_go_from_short_and_noisy_to_long_and_clean():
    assert [group(seconds, db) for db in (5, 40) for seconds in (0.4, 1.4, 9)] == list(range(GROUPS))
