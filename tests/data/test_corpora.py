"""A corpus is the same rows from a folder, Parquet or WebDataset shards."""

import io
import json
import tarfile

import numpy as np
import pytest
import soundfile
from conftest import RATE, write_corpus
from pyarrow import Table, parquet

from wav2small import Wav2SmallError
from wav2small_training.data.corpora import MisfitError, clip_count, label, open_rows, row_id, waveform
from wav2small_training.recipe import Corpus


def corpus(source, **more) -> Corpus:
    return Corpus(source=str(source), licence="CC0-1.0", **more)


@pytest.fixture
def folder(tmp_path):
    return write_corpus(tmp_path / "clips", clips=7)


def content(entry: Corpus) -> dict[str, np.ndarray]:
    return {row_id(row, entry): waveform(row, entry) for row in open_rows(entry)}


def as_parquet(folder, target):
    """Two shards in the layout of the Hub: audio as bytes and path."""
    files = sorted(folder.glob("*.flac"))
    for shard, part in enumerate((files[:4], files[4:])):
        rows = [{"audio": {"bytes": path.read_bytes(), "path": path.name}, "n": i} for i, path in enumerate(part)]
        parquet.write_table(Table.from_pylist(rows), target / f"{shard}.parquet")
    return str(target / "*.parquet")


def as_webdataset(folder, target):
    files = sorted(folder.glob("*.flac"))
    for shard, part in enumerate((files[:4], files[4:])):
        with tarfile.open(target / f"{shard}.tar", "w") as archive:
            for path in part:
                label = f'{{"mood": "mood of {path.stem}"}}'.encode()
                for name, data in ((path.name, path.read_bytes()), (f"{path.stem}.json", label)):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    return str(target / "*.tar")


@pytest.mark.parametrize("kind", ["folder", "bare folder", "parquet", "webdataset"])
def test_every_kind_of_source_gives_the_same_clips(folder, tmp_path, kind):
    expected = {path.stem: soundfile.read(path, dtype="float32")[0] for path in folder.glob("*.flac")}
    if kind == "folder":
        entry = corpus(folder)
    elif kind == "bare folder":
        (folder / "metadata.csv").unlink()
        entry = corpus(folder)
    elif kind == "parquet":
        entry = corpus(as_parquet(folder, tmp_path))
    else:
        entry = corpus(as_webdataset(folder, tmp_path), audio="flac")
    found = {name.removesuffix(".flac"): samples for name, samples in content(entry).items()}
    assert found.keys() == expected.keys()
    for name, samples in found.items():
        np.testing.assert_array_equal(samples, expected[name])
    assert clip_count(entry) == (None if kind == "webdataset" else 7)


def test_a_webdataset_brings_the_columns_of_its_json_files(folder, tmp_path):
    rows = list(open_rows(corpus(as_webdataset(folder, tmp_path), audio="flac")))
    assert [row["mood"] for row in rows] == [f"mood of {i:03}" for i in range(7)]


def test_parquet_with_the_audio_feature_of_datasets_needs_no_decoder(folder, tmp_path):
    """A file as the Hub has it: the feature in the metadata of its schema."""
    features = {"info": {"features": {"audio": {"_type": "Audio"}, "n": {"dtype": "int64", "_type": "Value"}}}}
    plain = parquet.read_table(as_parquet(folder, tmp_path).replace("*", "0"))
    marked = plain.replace_schema_metadata({"huggingface": json.dumps(features)})
    parquet.write_table(marked, tmp_path / "marked.parquet")
    assert len(content(corpus(tmp_path / "marked.parquet"))) == 4


def test_rows_can_be_chosen_by_a_column(folder):
    assert content(corpus(folder, where={"split": "validation"})).keys() == {"001.flac", "003.flac", "005.flac"}
    assert clip_count(corpus(folder, where={"split": "validation"})) == 3


def test_a_column_can_name_the_clips(folder):
    assert {row_id(row, corpus(folder, id="speaker")) for row in open_rows(corpus(folder))} == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"where": {"language": "de"}}, "no column 'language'; it has .*speaker"),
        ({"where": {"split": "nothing"}}, "no clips where"),
        ({"id": "name"}, "no column 'name'"),
    ],
)
def test_a_wrong_column_is_named(folder, more, told):
    with pytest.raises(Wav2SmallError, match=told):
        content(corpus(folder, **more))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{tmp}/none/*.parquet", "no such files"),
        ("{tmp}/none/*.tar", "no such files"),
        ("{tmp}/empty", "neither a metadata.csv nor audio files"),
        ("nobody/nothing", "cannot be streamed from the Hub"),
    ],
)
def test_a_source_that_is_not_there_is_one_sentence(tmp_path, source, told):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Wav2SmallError, match=told) as error:
        content(corpus(source.format(tmp=tmp_path)))
    assert "\n" not in str(error.value)


def test_ratings_become_0_to_1_by_their_scale(tmp_path):
    source = write_corpus(tmp_path / "rated", 1)
    (source / "metadata.csv").write_text("file_name,a,d,v\n000.flac,1,4,7\n")
    rated = corpus(source, labels=("a", "d", "v"), scale=(1, 7))
    np.testing.assert_allclose(label(next(iter(open_rows(rated))), rated), [0, 0.5, 1])
    for scale, told in (
        ((1, 5), "7 in its column 'v', and its scale is 1 to 5"),
        (None, "4 in its column 'd', and with"),
    ):
        wrong = corpus(source, labels=("a", "d", "v"), scale=scale)
        with pytest.raises(MisfitError, match=told):
            label(next(iter(open_rows(wrong))), wrong)


def test_shards_of_a_mixture_keep_predictions_of_a_teacher_that_leave_the_scale(tmp_path):
    shards = corpus(tmp_path / "*.parquet", labels=("a", "d", "v"))
    row = {"a": 0.2, "d": 0.5, "v": 1.7}
    with pytest.raises(MisfitError, match="without a scale labels are about 0 to 1"):
        label(row, shards)
    (tmp_path / "provenance.json").write_text("{}")
    np.testing.assert_allclose(label(row, shards), [0.2, 0.5, 1.7])


def test_parquet_keeps_the_rate_of_its_audio(tmp_path):
    audio = io.BytesIO()
    soundfile.write(audio, np.zeros(8000, np.float32), 8000, format="WAV")
    parquet.write_table(
        Table.from_pylist([{"audio": {"bytes": audio.getvalue(), "path": "a.wav"}}]), tmp_path / "a.parquet"
    )
    ((name, samples),) = content(corpus(tmp_path / "a.parquet")).items()
    assert name == "a.wav" and abs(len(samples) - RATE) <= 2
