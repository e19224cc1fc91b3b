"""Validation clips that are training clips are found, whatever kind of source they come from."""

import pytest
from conftest import write_corpus
from pyarrow import Table, parquet

from wav2small import Wav2SmallError
from wav2small_training.data.overlap import refuse_shared_clips, shared_clips
from wav2small_training.recipe import Recipe


def recipe(training: dict, held: dict) -> Recipe:
    values = {"name": "mine", "teacher": "t", "corpora": [training | {"licence": "MIT"}], "steps": 1, "output": "o"}
    return Recipe.model_validate({**values, "validation": {"corpora": [held | {"licence": "MIT"}]}})


def test_clips_of_a_folder_are_compared_one_by_one(tmp_path):
    folder = {"source": str(write_corpus(tmp_path / "clips", 9))}
    train, held = folder | {"where": {"split": "train"}}, folder | {"where": {"split": "validation"}}
    assert shared_clips(recipe(train, held)) == []
    assert shared_clips(recipe(train, folder)) == [
        f"5 of the 9 validation clips of {folder['source']} are training clips of {folder['source']}"
    ]
    with pytest.raises(Wav2SmallError, match="mine: 4 of the 4 validation clips"):
        refuse_shared_clips(recipe(folder, held))


def test_a_mixture_knows_the_clips_that_it_was_rendered_from(tmp_path):
    folder = {"source": str(write_corpus(tmp_path / "clips", 4))}
    rows = [{"source": "clips", "id": "001.flac"}, {"source": "other", "id": "002.flac"}]
    parquet.write_table(Table.from_pylist(rows), tmp_path / "mixture-00000.parquet")
    (told,) = shared_clips(recipe({"source": f"{tmp_path}/*.parquet"}, folder))
    assert told.startswith("1 of the 4 validation clips")


@pytest.mark.parametrize(
    ("change", "shared"),
    [({}, True), ({"split": "test"}, False), ({"config": "b"}, False), ({"where": {"sex": "f"}}, True)],
)
def test_a_data_set_of_the_hub_is_compared_by_its_parts(change, shared):
    training = {"source": "org/speech", "config": "a"}
    assert bool(shared_clips(recipe(training, training | change))) is shared
    women, men = ({**training, "where": {"sex": sex}} for sex in "fm")
    assert shared_clips(recipe(women, men)) == []
