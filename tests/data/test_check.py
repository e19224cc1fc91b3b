"""A recipe is checked before a training: each source is opened, one clip is read, and what is wrong is one sentence."""

import pytest
from conftest import write_corpus, write_labelled
from pyarrow import Table, parquet

from wav2small import Wav2SmallError
from wav2small_training.data.check import check_recipe, refuse_what_fails
from wav2small_training.recipe import MixtureRecipe


def recipe(*corpora: dict, **more) -> MixtureRecipe:
    entries = [{"licence": "CC0-1.0", **corpus} for corpus in corpora]
    return MixtureRecipe.model_validate({"name": "mine", "teacher": "wav2small-72k", "corpora": entries, **more})


def test_a_check_says_what_each_source_holds_and_whether_it_can_be_used(tmp_path):
    folder = str(write_labelled(tmp_path / "clips", 6))
    parquet.write_table(Table.from_pylist([{"sound": 1, "id": "a"}]), tmp_path / "other.parquet")
    sources = [{"source": folder}, {"source": f"{tmp_path}/*.parquet"}, {"source": folder, "licence": "mine"}]
    good, columns, licence, teacher = check_recipe(recipe(*sources))
    text = str(good)
    assert text.startswith(f"{folder}: can be used\n  6 clips, 0.000 GB\n  columns agreed, arousal")
    assert "read 000.flac: 0.8 s" in text and "licence in the recipe: CC0-1.0: any use" in text
    assert columns.error == f"{tmp_path}/*.parquet has no column 'audio'; it has id, sound"
    assert "has a licence that is not known here ('mine')" in licence.error
    assert teacher.error is None and "wav2small" in teacher.facts[0]
    with pytest.raises(Wav2SmallError, match="has no column 'audio'"):
        refuse_what_fails(recipe(*sources))


def test_a_label_outside_of_its_scale_and_unreadable_clips_are_found(tmp_path):
    rated = {"source": str(write_labelled(tmp_path / "rated", 3)), "labels": ("arousal", "dominance", "valence")}
    (found, *_) = check_recipe(recipe(rated | {"scale": (1, 7)}, teacher=None))
    assert "in its column" in found.error and "its scale is 1 to 7" in found.error
    broken = write_corpus(tmp_path / "broken", 0, bad=6)
    (found, *_) = check_recipe(recipe({"source": str(broken)}))
    assert "is not readable" in found.error
