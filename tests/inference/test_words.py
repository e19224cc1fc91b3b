"""Every prediction has one affect word, by thresholds measured on the checkpoint's predictions."""

import csv
import io
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, spoken, write_corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback.hub import LoopbackHub
from typer.testing import CliRunner

import wav2small
from wav2small import Prediction, Wav2SmallError
from wav2small.bundled import BUNDLED
from wav2small.cli.command import run_command
from wav2small.cli.main import app
from wav2small.inference.words import LEVELS, REGIONS, UNSURE, WORDS_FILE, AffectWords, word_sentence
from wav2small_training.evaluation.calibrate import FolderPredictions, calibrate, measure_thresholds

WORDS = [word for row in REGIONS.values() for word in row]
finite = st.floats(-1e300, 1e300)
thresholds = st.tuples(finite, finite).filter(lambda pair: pair[0] < pair[1])


def column(word: str) -> int:
    return next(row.index(word) for row in REGIONS.values() if word in row)


def line(word: str) -> int:
    return [word in row for row in REGIONS.values()].index(True)


@pytest.fixture
def checkpoint(tmp_path):
    """A copy of the bundled checkpoint."""
    return shutil.copytree(BUNDLED, tmp_path / "checkpoint")


def test_the_nine_regions_have_nine_different_words():
    assert len(set(WORDS)) == 9 and tuple(REGIONS) == LEVELS
    assert REGIONS["middle"][1] == UNSURE


@settings(deadline=None, max_examples=50)
@given(thresholds, thresholds, finite, finite)
def test_every_prediction_has_one_of_the_nine_words(arousal, valence, a, v):
    assert AffectWords(arousal, valence, "")(a, v) in WORDS


@settings(deadline=None, max_examples=50)
@given(thresholds, thresholds, finite, finite, finite)
def test_more_arousal_never_goes_down_and_more_valence_never_goes_left(arousal, valence, a, v, more):
    words = AffectWords(arousal, valence, "")
    here, up, right = words(a, v), words(max(a, more), v), words(a, max(v, more))
    assert line(up) >= line(here) and column(up) == column(here)
    assert column(right) >= column(here) and line(right) == line(here)


@settings(deadline=None, max_examples=50)
@given(thresholds, thresholds)
def test_both_thresholds_belong_to_the_middle_and_the_next_number_does_not(arousal, valence):
    words = AffectWords(arousal, valence, "")
    for a in arousal:
        for v in valence:
            assert words(a, v) == UNSURE
    assert words(np.nextafter(arousal[0], -np.inf), valence[0]) == "quiet"
    assert words(np.nextafter(arousal[1], np.inf), valence[0]) == "energetic"
    assert words(arousal[0], np.nextafter(valence[0], -np.inf)) == "displeased"
    assert words(arousal[0], np.nextafter(valence[1], np.inf)) == "pleased"


@settings(deadline=None, max_examples=50)
@given(thresholds, thresholds, st.text())
def test_words_that_are_written_are_read_unchanged(tmp_path_factory, arousal, valence, measured_on):
    folder = tmp_path_factory.getbasetemp()
    AffectWords(arousal, valence, measured_on).write(folder)
    assert AffectWords.read(folder) == AffectWords(arousal, valence, measured_on)


@pytest.mark.parametrize("pair", [(0.5, 0.5), (0.7, 0.3), (float("nan"), 0.5), (0.5, float("inf"))])
def test_thresholds_that_do_not_rise_are_an_error(pair):
    with pytest.raises(Wav2SmallError, match="thresholds of valence must rise"):
        AffectWords((0.3, 0.7), pair, "")


@pytest.mark.parametrize(
    "content",
    [
        "no JSON", "[]", "{}", '{"arousal": [0.3], "valence": [0.2, 0.6], "measured_on": ""}',
        '{"arousal": ["a", "b"], "valence": [0.2, 0.6], "measured_on": ""}',
        '{"arousal": [0.7, 0.3], "valence": [0.2, 0.6], "measured_on": ""}',
    ],
)  # fmt: skip
def test_a_broken_words_file_is_an_error_that_names_the_remedy(checkpoint, content):
    (checkpoint / WORDS_FILE).write_text(content)
    with pytest.raises(Wav2SmallError, match=r"words\.json holds no thresholds .*wav2small calibrate"):
        wav2small.load(checkpoint)


def test_a_checkpoint_without_a_words_file_predicts_without_words(checkpoint, wav, examples):
    (checkpoint / WORDS_FILE).unlink()
    predictor = wav2small.load(checkpoint)
    assert predictor.words is None
    assert predictor(wav).word is None and predictor(examples / "silence.flac").word == "silence"
    with pytest.raises(Wav2SmallError, match="wav2small calibrate"):
        predictor(wav).describe()
    output = CliRunner().invoke(app, ["predict", str(wav), "--model", str(checkpoint), "--format", "csv"]).output
    (row,) = csv.DictReader(io.StringIO(output))
    assert row["word"] == ""


@pytest.mark.parametrize("dtype", ["fp32", "q8", "q4"])
def test_all_files_of_a_checkpoint_share_its_words(dtype, wav):
    predictor = wav2small.load(dtype=dtype)
    prediction = predictor(wav)
    assert predictor.words == AffectWords.read(BUNDLED)
    intervals = prediction.interval("arousal"), prediction.interval("valence")
    assert prediction.word == predictor.words(prediction.arousal, prediction.valence, *intervals)
    assert prediction.word in str(prediction)


def test_silence_is_called_silence_over_time_too(examples):
    predictor = wav2small.load()
    assert predictor(examples / "silence.flac").word == "silence"
    loud, quiet = spoken(2), np.zeros(2 * RATE, np.float32)
    words = [row.word for row in predictor.timeline((np.concatenate([loud, quiet]), RATE), window=1.0, hop=1.0)]
    assert words[2:] == ["silence"] * 2 and set(words[:2]) <= set(WORDS)


def test_every_word_makes_its_own_sentence_that_says_its_levels():
    sentences = {word: word_sentence(word) for word in [*WORDS, "silence", "no speech"]}
    assert len(set(sentences.values())) == 11
    assert sentences["tense"].startswith("The voice sounds tense (arousal high, valence low")
    assert sentences[UNSURE].startswith("Nothing stands out")
    assert wav2small.load()((np.zeros(RATE, np.float32), RATE)).describe() == sentences["silence"]


def test_every_output_format_has_the_word(wav, tmp_path):
    from pyarrow import parquet

    expected = wav2small.load()(wav).word
    for name in ("out.csv", "out.json", "out.parquet", "out.txt"):
        assert CliRunner().invoke(app, ["predict", str(wav), "--output", str(tmp_path / name)]).exit_code == 0
    (row,) = csv.DictReader((tmp_path / "out.csv").open())
    (record,) = json.loads((tmp_path / "out.json").read_text())
    (cells,) = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    header, line = (tmp_path / "out.txt").read_text().splitlines()
    assert row["word"] == record["word"] == cells["word"] == expected
    assert header.split()[-1] == "word" and line.split()[-1] == expected


def test_a_plot_names_the_regions(wav, tmp_path):
    path = tmp_path / "plot.svg"
    assert CliRunner().invoke(app, ["predict", str(wav), "--plot", str(path)]).exit_code == 0
    drawn = set(re.findall(r"<!-- ([a-z]+) -->", path.read_text()))
    assert set(WORDS) <= drawn


def test_calibration_takes_the_tenth_and_the_ninetieth_percentile(checkpoint, tmp_path):
    folder = write_corpus(tmp_path / "readers", clips=30, seconds=0.6, voice=spoken)  # shorter than every crop
    predictor = wav2small.load(checkpoint)
    predictions = np.array([predictor(path).as_array() for path in sorted(folder.glob("*.flac"))])
    calibrate(checkpoint, [folder], [])
    words = AffectWords.read(checkpoint)
    assert words.arousal == pytest.approx(np.quantile(predictions[:, 0], [0.1, 0.9]), abs=1e-3)
    assert words.valence == pytest.approx(np.quantile(predictions[:, 2], [0.1, 0.9]), abs=1e-3)
    assert "30 clips of readers" in words.measured_on
    first = (checkpoint / WORDS_FILE).read_bytes()
    calibrate(checkpoint, [folder], [])
    assert (checkpoint / WORDS_FILE).read_bytes() == first, "the same recordings gave other thresholds"


@settings(deadline=None, max_examples=50)
@given(st.integers(20, 60), st.integers(20, 300))
def test_each_folder_counts_the_same_whatever_its_size(few, many):
    def predictions(first: float, clips: int) -> FolderPredictions:
        values = np.linspace(first, first + 1, clips)
        return FolderPredictions(Path("voices"), [Prediction(x, 0, x, 0, 1) for x in values], [""] * clips)

    words = measure_thresholds(
        [predictions(0, few), predictions(2, many)]
    )  # a tenth of both is a fifth of the lower one
    assert words.arousal == words.valence == pytest.approx((0.2, 2.8), abs=2e-3)


def test_calibrate_prints_the_share_of_each_word_by_folder_and_emotion(checkpoint, tmp_path):
    readers = write_corpus(tmp_path / "readers", clips=20, voice=spoken)
    actors = tmp_path / "actors"
    actors.mkdir()
    soundfile.write(actors / "a.wav", spoken(2), RATE)
    soundfile.write(actors / "b.wav", spoken(7, seed=1), RATE)
    soundfile.write(actors / "silent.wav", np.zeros(RATE), RATE)
    (actors / "metadata.csv").write_text("file_name,emotion\na.wav,anger\nb.wav,joy\nsilent.wav,joy\n")
    result = CliRunner().invoke(app, ["calibrate", str(checkpoint), str(readers), "--check", str(actors)])
    assert result.exit_code == 0, result.output
    table = [[cell.strip() for cell in text.split("|")[1:-1]] for text in result.output.splitlines()]
    assert table[0] == ["%", "clips", *WORDS]
    assert [row[:2] for row in table[2:]] == [["readers", "20"], ["actors", "2"], ["- anger", "1"], ["- joy", "1"]]
    for row in table[2:]:
        assert sum(map(int, row[2:])) == pytest.approx(100, abs=4)


def test_a_calibration_that_fails_is_an_error_and_changes_nothing(checkpoint, tmp_path, capsys):
    few, before = write_corpus(tmp_path / "few", clips=4, voice=spoken), (checkpoint / WORDS_FILE).read_bytes()
    for arguments, told in (
        ([checkpoint, few], "few holds 4 clips with speech: at least 20 are needed"),
        ([tmp_path / "none", few], "none is not a folder: calibrate a local checkpoint"),
        ([few, few], "few has no config.json: it is not a complete checkpoint"),
    ):
        with pytest.raises(SystemExit):
            run_command(lambda arguments=arguments: app(["calibrate", *map(str, arguments)], standalone_mode=False))
        assert told in capsys.readouterr().err
    assert (checkpoint / WORDS_FILE).read_bytes() == before


def test_nonsense_is_refused_words_and_by_the_page(checkpoint, tmp_path, monkeypatch):
    folder, before = write_corpus(tmp_path / "readers", clips=20, voice=spoken), (checkpoint / WORDS_FILE).read_bytes()
    untrained = wav2small.inference.predictor.Predictor._run
    monkeypatch.setattr(
        wav2small.inference.predictor.Predictor, "_run", lambda *a: (untrained(*a)[0] - 29, untrained(*a)[1])
    )
    with pytest.raises(Wav2SmallError, match=r"predicts -28.*, -28.*, -28.* for ordinary speech, and 0 to 1 is usual"):
        calibrate(checkpoint, [folder], [])
    assert (checkpoint / WORDS_FILE).read_bytes() == before
    models = pytest.importorskip("wav2small_demo.models", reason="the demo needs the extra [space]")
    monkeypatch.setattr(wav2small.inference.predictor.Predictor, "logits", lambda *_: np.array([0.5, -29, 0.5]))
    with pytest.raises(Wav2SmallError, match="train it further"):
        models.offer([str(checkpoint)])


def test_a_checkpoint_from_the_hub_has_its_words(checkpoint, tmp_path, wav):
    code = """
import json, sys
import wav2small
from huggingface_hub import HfApi
for name, ignored in (("lab/worded", None), ("lab/wordless", "words.json")):
    HfApi().create_repo(name)
    HfApi().upload_folder(repo_id=name, folder_path=sys.argv[1], ignore_patterns=ignored)
print(json.dumps([wav2small.load(name, dtype="q8")(sys.argv[2]).word for name in ("lab/worded", "lab/wordless")]))
"""
    with LoopbackHub() as hub:
        words = hub.run(code, tmp_path, str(checkpoint), str(wav), token="hf_alice")
    assert words == [wav2small.load(dtype="q8")(wav).word, None]


@pytest.mark.export
def test_an_export_keeps_the_words(checkpoint, tmp_path):
    from wav2small_training.exporters.export import export

    export(str(checkpoint), tmp_path / "out")
    assert AffectWords.read(tmp_path / "out") == AffectWords.read(checkpoint) == AffectWords.read(BUNDLED)


def shares(predictor, corpus, emotion: str | None = None) -> Counter:
    rows = [row for row in csv.DictReader((corpus / "metadata.csv").open()) if emotion in (None, row.get("emotion"))]
    words = Counter(predictor(corpus / row["file_name"]).word for row in rows[:: max(1, len(rows) // 60)])
    return Counter({word: count / words.total() for word, count in words.items()})


def test_ordinary_reading_is_mostly_unsure(speech):
    found = shares(wav2small.load(), speech / "librispeech_mini")
    assert found[UNSURE] > 0.5 and found.most_common(1)[0][0] == UNSURE


@pytest.mark.parametrize(
    ("emotion", "heard_as", "not_as"),
    [
        ("anger", {"tense", "energetic"}, "low"),
        ("happiness", {"excited", "energetic", "pleased"}, "low"),
        ("sadness", {"subdued", "displeased", "quiet"}, "high"),
        ("boredom", {"subdued", "quiet", "calm", "displeased"}, "high"),
    ],
)
def test_acted_emotion_is_named(speech, emotion, heard_as, not_as):
    found = shares(wav2small.load(), speech / "emodb", emotion)
    assert sum(found[word] for word in heard_as) > 0.5
    assert sum(found[word] for word in REGIONS[not_as]) < 0.15
